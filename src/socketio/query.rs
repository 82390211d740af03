//! What a client sends with a request for a namespace: a query in the old protocol, an object in the new one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use serde_json::value::RawValue;

/// Returns the object for a query, as Socket.IO 4 makes it for an old client: every value is a string, and the last
/// value of a name counts. Empty if the query is empty.
pub(super) fn to_auth(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let members: serde_json::Map<String, Value> =
        pairs.map(|(name, value)| (decode(name), Value::String(decode(value)))).collect();
    if members.is_empty() { String::new() } else { Value::Object(members).to_string() }
}

/// Returns the query for an object, as the clients of Socket.IO 2 write it. Texts, numbers and booleans are kept;
/// `None` if it is not an object.
pub(super) fn from_auth(auth: &[u8]) -> Option<String> {
    if auth.is_empty() {
        return Some(String::new());
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(auth).ok()?;
    let mut query = String::new();
    for (name, value) in members {
        let value = value.get();
        let text = match value.as_bytes().first() {
            // An unpaired surrogate can't be part of a URL: the clients throw.
            Some(b'"') => serde_json::from_str::<String>(value).ok(),
            // A number keeps its digits.
            Some(b't' | b'f' | b'-' | b'0'..=b'9') => Some(value.to_owned()),
            _ => None,
        };
        if let Some(text) = text {
            if !query.is_empty() {
                query.push('&');
            }
            encode(&name, &mut query);
            query.push('=');
            encode(&text, &mut query);
        }
    }
    Some(query)
}

/// Returns a namespace with a query appended.
pub(super) fn attach(namespace: &str, query: &str) -> String {
    if query.is_empty() { namespace.to_owned() } else { format!("{namespace}?{query}") }
}

/// `encodeURIComponent`.
fn encode(text: &str, query: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            query.push(char::from(byte));
        } else {
            write!(query, "%{byte:02X}").expect("a String takes everything");
        }
    }
}

/// Decodes as `URLSearchParams` does: `+` is a space, a `%` without two digits is a `%`, and invalid UTF-8 is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        let escaped = if first == b'%' { hex(0).zip(hex(1)) } else { None };
        let (byte, behind) = match escaped {
            Some((high, low)) => (u8::try_from(high * 16 + low).unwrap_or_default(), &behind[2..]),
            None => (if first == b'+' { b' ' } else { first }, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_read_as_a_url_is() {
        for (query, auth) in [
            ("a=b", r#"{"a":"b"}"#),
            ("a=1&a=2", r#"{"a":"2"}"#),
            ("a", r#"{"a":""}"#),
            ("&&a=b=c&", r#"{"a":"b=c"}"#),
            ("a=b+c%20d", r#"{"a":"b c d"}"#),
            ("a=100%&b=%2&c=%zz", r#"{"a":"100%","b":"%2","c":"%zz"}"#),
            ("%C3%A9=%ff", "{\"é\":\"\u{fffd}\"}"),
            ("__proto__=x", r#"{"__proto__":"x"}"#),
            ("", ""),
            ("&", ""),
        ] {
            assert_eq!(to_auth(query), auth, "{query}");
        }
    }

    #[test]
    fn an_object_is_written_as_the_old_client_writes_it() {
        let auth = r#"{"a":"é a&b=c+d,'(1)!*~","b":5,"c":true,"d":1.50,"e":12345678901234567890123,"f":null,"g":[1],"h":{}}"#;
        let query = "a=%C3%A9%20a%26b%3Dc%2Bd%2C'(1)!*~&b=5&c=true&d=1.50&e=12345678901234567890123";
        assert_eq!(from_auth(auth.as_bytes()).as_deref(), Some(query));
        assert_eq!(from_auth(br#"{"a":"\ud800","b":"x"}"#).as_deref(), Some("b=x"));
        assert_eq!(from_auth(b"{}").as_deref(), Some(""));
        assert_eq!(from_auth(b"").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for auth in ["[]", "\"a\"", "5", "null", "{", "{}x", "{\"a\"}"] {
            assert_eq!(from_auth(auth.as_bytes()), None, "{auth}");
        }
    }

    proptest! {
        #[test]
        fn texts_come_back(members in prop::collection::btree_map(".{0,9}", ".{0,9}", 0..5)) {
            let auth = json!(members).to_string();
            let query = from_auth(auth.as_bytes()).expect("it is an object");
            // A comma would end the namespace.
            prop_assert!(!query.contains(','));
            let back = to_auth(&query);
            prop_assert_eq!(if back.is_empty() { "{}" } else { &back }, auth);
        }

        #[test]
        fn no_bytes_do_harm(query: String, auth: Vec<u8>) {
            to_auth(&query);
            from_auth(&auth);
        }
    }
}
