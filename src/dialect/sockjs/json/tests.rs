//! Escapes against the reference's set, and random texts.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::elements::Elements;
use super::*;
use crate::packet::Message;

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    quote(text.as_bytes(), Place::Frame, &mut out);
    assert_eq!(out.len(), quoted_len(text.as_bytes()), "{text:?}");
    String::from_utf8(out).unwrap()
}

/// Returns whether a character is in the escaped set, as measured on the reference.
fn is_escaped(unit: u16) -> bool {
    matches!(unit, 0..=0x1f | 0x22 | 0x5c | 0x200c..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xd800..=0xdfff | 0xfff0..)
}

#[test]
fn exactly_what_the_reference_escapes_is_escaped() {
    for character in (0..=u32::from(u16::MAX)).filter_map(char::from_u32) {
        let unit = u16::try_from(u32::from(character)).unwrap();
        let expected = match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            _ if is_escaped(unit) => format!("\\u{unit:04x}"),
            _ => character.to_string(),
        };
        assert_eq!(quoted(&character.to_string()), format!("\"{expected}\""), "{unit:04x}");
    }
    assert_eq!(quoted("a😀/\u{7f}\u{feff}b"), "\"a\\ud83d\\ude00/\u{7f}\u{feff}b\"");
}

#[test]
fn a_character_is_escaped_wherever_it_is() {
    for (place, character, escape) in [
        (Place::Frame, "\"", "\\\""),
        (Place::Frame, "\u{1f}", "\\u001f"),
        (Place::Frame, "\u{2028}", "\\u2028"),
        (Place::Frame, "é\\", "é\\\\"),
        (Place::Frame, "%<", "%<"),
        (Place::Event, "%", "%25"),
        (Place::Html, "<", "\\u003c"),
    ] {
        for (before, behind) in (0..20).flat_map(|before| (0..20).map(move |behind| (before, behind))) {
            let around = |middle| format!("{}{middle}{}", "a".repeat(before), "b".repeat(behind));
            let mut out = Vec::new();
            quote(around(character).as_bytes(), place, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{}\"", around(escape)));
        }
    }
}

#[test]
fn no_script_ends_inside_a_string() {
    let mut out = Vec::new();
    quote(b"a[\"</script>\"]", Place::Html, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#""a[\"\u003c/script>\"]""#);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in any::<Vec<char>>()) {
        let text: String = text.into_iter().collect();
        let body = Bytes::from(format!("[{}]", quoted(&text)));
        prop_assert_eq!(Elements::of_body(body).unwrap().collect::<Vec<_>>(), [Message::text(text.as_str())]);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text.as_str());
        let mut html = Vec::new();
        quote(text.as_bytes(), Place::Html, &mut html);
        prop_assert!(!html.contains(&b'<'));
        prop_assert_eq!(serde_json::from_slice::<String>(&html).unwrap(), text);
    }
}
