//! The query of a request: Engine.IO's own keys, and the application's pairs, which the backend must see.

use std::borrow::Cow;

use crate::dialect::urlencoded::decode;

/// Engine.IO's own keys. If a key is repeated, the last value counts.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Query<'a> {
    pub(super) eio: Option<Cow<'a, str>>,
    pub(super) transport: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
    pub(super) b64: Option<Cow<'a, str>>,
    pub(super) j: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        let mut found = Self::default();
        let mut pair = Pair::default();
        // One pass: searching for each mark separately would take longer to set up than so short a text takes.
        for (at, &byte) in query.as_bytes().iter().enumerate() {
            match byte {
                b'&' => {
                    found.note(query, pair, at);
                    pair = Pair { begin: at + 1, ..Pair::default() };
                }
                b'=' if pair.equals.is_none() => pair.equals = Some(at),
                b'%' | b'+' => pair.has_escape = true,
                _ => {}
            }
        }
        found.note(query, pair, query.len());
        found
    }

    /// Notes the pair that ends at `end`.
    fn note(&mut self, query: &'a str, pair: Pair, end: usize) {
        let decode = |text: &'a str| if pair.has_escape { decode(text) } else { Cow::Borrowed(text) };
        let key = decode(&query[pair.begin..pair.equals.unwrap_or(end)]);
        let slot = match key.as_ref() {
            "EIO" => &mut self.eio,
            "transport" => &mut self.transport,
            "sid" => &mut self.sid,
            "b64" => &mut self.b64,
            "j" => &mut self.j,
            _ => return,
        };
        *slot = Some(decode(pair.equals.map_or("", |equals| &query[equals + 1..end])));
    }
}

/// A pair of a query, as far as it was read.
#[derive(Clone, Copy, Default)]
struct Pair {
    begin: usize,
    /// The end of its key.
    equals: Option<usize>,
    has_escape: bool,
}

/// Returns the application's pairs, as the client wrote them: all except `EIO`, `transport`, `sid`, `t`, `j`, `b64`.
pub(super) fn application_query(query: &str) -> String {
    let own = |pair: &str| {
        let key = decode(pair.split_once('=').map_or(pair, |(key, _)| key));
        matches!(key.as_ref(), "EIO" | "transport" | "sid" | "t" | "j" | "b64" | "")
    };
    query.split('&').filter(|pair| !own(pair)).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_keys_counts() {
        let query = Query::parse("EIO=3&transport=polling&EIO=4&sid=a%2Db&x=1&b64");
        assert_eq!(query.eio.as_deref(), Some("4"));
        assert_eq!(query.transport.as_deref(), Some("polling"));
        assert_eq!(query.sid.as_deref(), Some("a-b"));
        assert_eq!(query.b64.as_deref(), Some(""));
    }

    #[test]
    fn the_applications_pairs_stay_as_they_are() {
        assert_eq!(
            application_query("EIO=4&user=J%C3%BCrgen+M&t=abc&transport=polling&a=1&a=2&j=0&b64=1&flag"),
            "user=J%C3%BCrgen+M&a=1&a=2&flag"
        );
        assert_eq!(application_query("EIO=4&&transport=websocket"), "");
        assert_eq!(application_query("%73id=1&x=%"), "x=%");
    }
}
