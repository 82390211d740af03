//! What two sides agree to: the parameters of permessage-deflate in `Sec-WebSocket-Extensions` (RFC 7692, section 7.1).

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

use super::states::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// How the messages of a connection are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deflate {
    /// The shortest message that is compressed, in bytes of its payload.
    pub threshold: usize,
    /// What both sides have agreed to.
    pub agreed: Agreed,
}

/// What both sides have agreed to, as far as it binds us: that no message depends on the one before it always holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// The window of what we compress.
    window_bits: u8,
    /// Whether the peer wants to read it in the response.
    is_asked: bool,
}

impl Agreed {
    /// What a client offers.
    pub const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    /// The usual agreement, to a window of any size.
    const USUAL: Self = Self { window_bits: WINDOW_BITS_MAX, is_asked: false };

    /// Returns what a server agrees to: the first of a client's offers that it can keep.
    pub fn to_offer(headers: &HeaderMap) -> Option<Self> {
        let offers = extensions(headers);
        offers.into_iter().filter(|offer| offer.name.eq_ignore_ascii_case(NAME)).find_map(|offer| {
            match Parameters::read(&offer)?.server_max_window_bits {
                // No window of 256 bytes can be written here. The client may offer something else behind it.
                Some(..WINDOW_BITS_MIN) => None,
                Some(window_bits) => Some(Self { window_bits, is_asked: true }),
                None => Some(Self::USUAL),
            }
        })
    }

    /// Returns the header of a server's response.
    pub fn response(self) -> HeaderValue {
        let Self { window_bits, is_asked } = self;
        let bits = if is_asked { format!("; server_max_window_bits={window_bits}") } else { String::new() };
        let response = HeaderValue::try_from(format!("{}{bits}", Self::OFFER));
        response.unwrap_or_else(|_| HeaderValue::from_static(Self::OFFER))
    }

    /// Returns what a server has made of [`OFFER`](Self::OFFER): nothing, or what it agrees to.
    ///
    /// # Errors
    /// What of its response was not offered.
    pub fn of_response(headers: &HeaderMap) -> Result<Option<Self>, &'static str> {
        if !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Ok(None);
        }
        let extensions = extensions(headers);
        let [one] = &*extensions else { return Err(UNASKED) };
        if !one.name.eq_ignore_ascii_case(NAME) {
            return Err(UNASKED);
        }
        let parameters =
            Parameters::read(one).ok_or("its 101 has malformed parameters of permessage-deflate")?;
        if parameters.has_client_max_window_bits {
            return Err("its 101 has client_max_window_bits, which was not offered");
        }
        if !parameters.has_server_no_context_takeover {
            return Err("its 101 lacks server_no_context_takeover");
        }
        Ok(Some(Self::USUAL))
    }

    pub(super) const fn window_bits(self) -> u8 {
        self.window_bits
    }
}

/// The parameters of one offer, or of the response.
#[derive(Default, Debug)]
struct Parameters {
    has_server_no_context_takeover: bool,
    has_client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    has_client_max_window_bits: bool,
}

impl Parameters {
    /// Returns `None` if one is unknown, comes twice, or has a value that it may not have (section 7.1).
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut all = Self::default();
        for (name, value) in &extension.parameters {
            let flag = match (*name, value) {
                ("server_no_context_takeover", None) => &mut all.has_server_no_context_takeover,
                ("client_no_context_takeover", None) => &mut all.has_client_no_context_takeover,
                ("client_max_window_bits", value) => {
                    // Without a value: the server may choose one.
                    if let Some(value) = value {
                        window_bits(value)?;
                    }
                    &mut all.has_client_max_window_bits
                }
                ("server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value)?;
                    if all.server_max_window_bits.replace(bits).is_some() {
                        return None;
                    }
                    continue;
                }
                _ => return None,
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        Some(all)
    }
}

/// Reads a number from 8 to 15, without leading zeros (section 7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=WINDOW_BITS_MAX).contains(bits))?;
    (!value.starts_with(['0', '+'])).then_some(bits)
}

/// One member of the header (RFC 6455, section 9.1).
#[derive(Debug)]
struct Extension<'h> {
    name: &'h str,
    /// With their values, without quotes.
    parameters: Vec<(&'h str, Option<&'h str>)>,
}

/// Returns the members of all header lines. One that is malformed has a name that no extension has.
fn extensions(headers: &HeaderMap) -> Vec<Extension<'_>> {
    let lines = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    let members = lines.flat_map(|line| split(line.to_str().unwrap_or("?"), ','));
    let one = |member| {
        let mut parts = split(member, ';').into_iter();
        let name = parts.next().unwrap_or_default();
        let parameters = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (part, None),
        });
        Extension { name, parameters: parameters.collect() }
    };
    members.filter(|member| !member.is_empty()).map(one).collect()
}

/// Splits a list where the separator is not quoted.
fn split(list: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = list.split(|character| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return character == separator && !is_quoted,
        }
        false
    });
    parts.map(|part| part.trim_matches([' ', '\t'])).collect()
}

/// Returns the content of a quoted string. None that means something here has an escape in it.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

const NAME: &str = "permessage-deflate";
const UNASKED: &str = "its 101 has an extension that was not offered";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_server_agrees_to_the_first_offer_that_it_can_keep() {
        let usual = Some(Agreed::OFFER.to_owned());
        let of = |bits| Some(format!("{}; server_max_window_bits={bits}", Agreed::OFFER));
        let cases: [(&[&str], Option<String>); 25] = [
            (&["permessage-deflate"], usual.clone()),
            // Chromium and Firefox.
            (&["permessage-deflate; client_max_window_bits"], usual.clone()),
            (&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], usual.clone()),
            (&["Permessage-Deflate ;client_max_window_bits = 8"], usual.clone()),
            (&["permessage-deflate; client_max_window_bits=\"15\""], usual.clone()),
            (&["permessage-deflate; server_max_window_bits=9"], of(9)),
            (&["permessage-deflate; server_max_window_bits=15"], of(15)),
            (&["permessage-deflate; server_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], usual.clone()),
            (&["permessage-deflate; server_max_window_bits=10", "permessage-deflate"], of(10)),
            (&["x-webkit-deflate-frame, permessage-deflate"], usual.clone()),
            (&["x; p=\"a, permessage-deflate\""], None),
            (&["x; p=\"\\\", permessage-deflate\", permessage-deflate"], usual.clone()),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; server_max_window_bits=16"], None),
            (&["permessage-deflate; server_max_window_bits=7"], None),
            (&["permessage-deflate; server_max_window_bits=09"], None),
            (&["permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"], None),
            (&["permessage-deflate; client_max_window_bits=x"], None),
            (&["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
            (&["permessage-deflate; server_no_context_takeover=1"], None),
            (&["permessage-deflate; unknown, permessage-deflate"], usual),
            (&["permessage-deflate; unknown"], None),
            (&["deflate-frame"], None),
            (&[], None),
        ];
        for (offer, expected) in cases {
            let response = Agreed::to_offer(&headers(offer)).map(Agreed::response);
            let response = response.map(|response| response.to_str().unwrap().to_owned());
            assert_eq!(response, expected, "{offer:?}");
        }
    }

    #[test]
    fn a_client_takes_only_what_it_offered() {
        let taken: [&[&str]; 4] = [
            &[Agreed::OFFER],
            &["permessage-deflate; server_no_context_takeover"],
            &["permessage-deflate;server_no_context_takeover;server_max_window_bits=8"],
            &[
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=15",
            ],
        ];
        for response in taken {
            assert_eq!(Agreed::of_response(&headers(response)), Ok(Some(Agreed::USUAL)), "{response:?}");
        }
        assert_eq!(Agreed::of_response(&HeaderMap::new()), Ok(None));
        let refused: [&[&str]; 7] = [
            &["permessage-deflate"],
            &["permessage-deflate; server_no_context_takeover; client_max_window_bits=15"],
            &["permessage-deflate; server_no_context_takeover; server_max_window_bits=16"],
            &["permessage-deflate; server_no_context_takeover; unknown"],
            &[
                "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
            ],
            &["x-webkit-deflate-frame"],
            &[""],
        ];
        for response in refused {
            assert!(Agreed::of_response(&headers(response)).is_err(), "{response:?}");
        }
    }
}
