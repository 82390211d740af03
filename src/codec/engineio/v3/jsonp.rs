//! Polling by script tags (JSONP): responses are function calls, and a client's payload is a form's field.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

use crate::codec::urlencoded::decode;

/// Returns a payload as a script that passes it to the client's function with this number.
///
/// The two line separators that JSON allows and old JavaScript does not are escaped.
pub fn wrap(index: &str, payload: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(payload);
    let json = Value::from(text.as_ref()).to_string();
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let mut out = BytesMut::with_capacity(json.len() + index.len() + 12);
    out.put_slice(b"___eio[");
    out.put_slice(index.as_bytes());
    out.put_slice(b"](");
    out.put_slice(json.as_bytes());
    out.put_slice(b");");
    out.freeze()
}

/// Returns the payload in a form's field `d`; `None` without one.
///
/// A form changes line breaks, so the client writes them as `\n`, and a backslash before an `n` of its own as two.
pub fn form_payload(body: &[u8]) -> Option<Bytes> {
    let field = body.split(|&byte| byte == b'&').find_map(|pair| pair.strip_prefix(b"d="))?;
    Some(unescape(&decode(field)).into())
}

/// `\n` is a line break, and `\\n` is `\n`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        match rest {
            [b'\\', b'\\', b'n', ..] => {
                out.extend_from_slice(b"\\n");
                rest = &rest[3..];
            }
            [b'\\', b'n', ..] => {
                out.push(b'\n');
                rest = &rest[2..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_wrapped_in_a_call() {
        let script = wrap("7", &Bytes::from_static("6:4\"\u{2028}\n🐸".as_bytes()));
        assert_eq!(std::str::from_utf8(&script).unwrap(), "___eio[7](\"6:4\\\"\\u2028\\n🐸\");");
    }

    #[test]
    fn a_forms_field_is_read_with_its_line_breaks() {
        let read =
            |body: &str| form_payload(body.as_bytes()).map(|bytes| String::from_utf8(bytes.into()).unwrap());
        assert_eq!(read("d=6%3A4hello").as_deref(), Some("6:4hello"));
        assert_eq!(read("a=b&d=3%3A4%5Cn").as_deref(), Some("3:4\n"));
        assert_eq!(read("d=4%3A4%5C%5Cn").as_deref(), Some("4:4\\n"));
        assert_eq!(read("d=a+b%C3%A9%").as_deref(), Some("a bé%"));
        assert_eq!(read("e=1"), None);
    }
}
