//! The query and the form of a request: the names of callbacks, the application's pairs, and a form's messages.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::dialect::urlencoded::decode;

/// The name of a function of the page. It is checked to be a name, since it is copied into a script unchanged.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Callback(Box<str>);

/// Why a request names no function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadCallback {
    /// There is none.
    Missing,
    /// It is not a name, or there are two.
    Invalid,
}

impl Callback {
    /// Reads the function that a query names (`c`, else `callback`), in `len_max` characters at most.
    ///
    /// # Errors
    /// It names none, or what is no name.
    pub(super) fn of(query: &str, len_max: usize) -> Result<Self, BadCallback> {
        let named = |key: &str| {
            let mut values = pairs(query).filter(|(name, _)| name == key).map(|(_, value)| value);
            values.next().map(|first| (first, values.next().is_some()))
        };
        let (name, again) = named("c").or_else(|| named("callback")).ok_or(BadCallback::Missing)?;
        let is_sign = |byte: u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let fits = (1..=len_max).contains(&name.len()) && name.bytes().all(is_sign);
        if again || !fits {
            return Err(BadCallback::Invalid);
        }
        Ok(Self(name.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the pairs that are the application's, as the client wrote them: all but `t` (against caches), `c`,
/// `callback`, and `i` (the frame that a form is sent from).
pub(super) fn application_query(query: &str) -> String {
    let is_own = |pair: &&str| {
        let key = decode(pair.split_once('=').map_or(*pair, |(key, _)| key));
        !matches!(key.as_ref(), "t" | "c" | "callback" | "i" | "")
    };
    query.split('&').filter(is_own).collect::<Vec<_>>().join("&")
}

/// Returns the messages of a form: its field `d`.
pub(super) fn form_field(body: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(body);
    let found = pairs(&text).find(|(key, _)| key == "d").map(|(_, value)| value.into_owned());
    found.unwrap_or_default().into()
}

/// The kind of a body, by its content type. The comparison is case-sensitive, as in the reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyType {
    /// Text, or not said.
    Text,
    /// A form.
    Form,
    /// A body that is not text: multipart or binary.
    Other,
}

impl BodyType {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Self::Text };
        let value = value.as_bytes();
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        match &value[..end] {
            b"application/x-www-form-urlencoded" => Self::Form,
            b"application/octet-stream" => Self::Other,
            parts if parts.starts_with(b"multipart/") => Self::Other,
            _ => Self::Text,
        }
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}
