//! Escapes against the reference's set, bodies good and bad, and random texts.

use proptest::prelude::*;

use super::*;

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    quote(text.as_bytes(), Place::Frame, &mut out);
    assert_eq!(out.len(), quoted_len(text.as_bytes()), "{text:?}");
    String::from_utf8(out).unwrap()
}

fn texts(body: &str) -> Result<Vec<String>, Unreadable> {
    let messages = read_array(Bytes::copy_from_slice(body.as_bytes()))?;
    Ok(messages.iter().map(text_of).collect())
}

fn text_of(message: &Message) -> String {
    let Message::Text(text) = message else { panic!("binary") };
    text.as_str().to_owned()
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

#[test]
fn any_escape_of_json_is_taken() {
    let body = r#" ["\u0041\/\b\f\n\r\t\"\\", "\ud83d\uDE00", "", "é"] "#;
    assert_eq!(texts(body).unwrap(), ["A/\u{8}\u{c}\n\r\t\"\\", "😀", "", "é"]);
}

#[test]
fn half_of_a_pair_becomes_a_replacement_and_harms_nothing_around_it() {
    for (body, text) in [
        (r#"["\ud83d"]"#, "\u{fffd}"),
        (r#"["\ude00x"]"#, "\u{fffd}x"),
        (r#"["a\ud83d\ud83d\ude00b"]"#, "a\u{fffd}😀b"),
        (r#"["\ud83d\u0041"]"#, "\u{fffd}A"),
        (r#"["\ud83d\n"]"#, "\u{fffd}\n"),
        (r#"["\ud83d\\u0041"]"#, "\u{fffd}\\u0041"),
    ] {
        assert_eq!(texts(body).unwrap(), [text], "{body}");
    }
}

#[test]
fn what_is_no_string_is_passed_on_as_it_is_written() {
    assert_eq!(
        texts(r#"[1.50, null,{"a" : [true]} ,"x"]"#).unwrap(),
        ["1.50", "null", r#"{"a" : [true]}"#, "x"]
    );
}

#[test]
fn nothing_of_a_broken_body_is_taken() {
    for (body, why) in [
        ("", Unreadable::NoPayload),
        ("{}", Unreadable::NoPayload),
        ("\"a\"", Unreadable::NoPayload),
        ("null", Unreadable::NoPayload),
        (" ", Unreadable::Broken),
        ("x", Unreadable::Broken),
        ("{", Unreadable::Broken),
        ("[\"a", Unreadable::Broken),
        ("[\"a\",", Unreadable::Broken),
        ("[\"a\"]x", Unreadable::Broken),
        ("[\"\\x\"]", Unreadable::Broken),
        ("[\"\\u12\"]", Unreadable::Broken),
        ("[\"\n\"]", Unreadable::Broken),
        ("\u{feff}[\"a\"]", Unreadable::Broken),
    ] {
        assert_eq!(texts(body), Err(why), "{body:?}");
    }
    assert_eq!(texts("[]"), Ok(vec![]));
}

#[test]
fn ill_formed_bytes_become_replacements() {
    let messages = read_array(Bytes::from_static(b"[\"a\xffb\"]")).unwrap();
    assert_eq!(text_of(&messages[0]), "a\u{fffd}b");
}

#[test]
fn a_deep_element_is_no_panic() {
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(texts(&deep).unwrap()[0].len(), 200_000);
}

#[test]
fn a_frame_holds_an_array_or_one_message_or_nothing() {
    let read = |text: &str| {
        read_frame(&Text::from(text)).map(|messages| messages.iter().map(text_of).collect::<Vec<_>>())
    };
    assert_eq!(read(""), Ok(vec![]));
    assert_eq!(read("[]"), Ok(vec![]));
    assert_eq!(read(r#""a\n""#), Ok(vec!["a\n".to_owned()]));
    assert_eq!(read(r#"["a","b"]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(read("7"), Ok(vec!["7".to_owned()]));
    assert_eq!(read("[\"a"), Err(Unreadable::Broken));
}

#[test]
fn a_plain_message_shares_the_bodys_buffer() {
    let body = Bytes::from_static(b"[\"abc\"]");
    let messages = read_array(body.clone()).unwrap();
    let Message::Text(text) = &messages[0] else { panic!("binary") };
    assert_eq!(text.as_bytes().as_ptr(), body[2..].as_ptr());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in any::<Vec<char>>()) {
        let text: String = text.into_iter().collect();
        prop_assert_eq!(texts(&format!("[{}]", quoted(&text))).unwrap(), [text.as_str()]);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text.as_str());
        let mut html = Vec::new();
        quote(text.as_bytes(), Place::Html, &mut html);
        prop_assert!(!html.contains(&b'<'));
        prop_assert_eq!(serde_json::from_slice::<String>(&html).unwrap(), text);
    }

    #[test]
    fn what_serde_reads_is_read_alike(text in r#"\[("([a-z]|\\[bfnrt"\\/]|\\u[0-9a-f]{4}|é|😀){0,6}",?){0,3}\]"#) {
        match serde_json::from_str::<Vec<String>>(&text) {
            Ok(expected) => prop_assert_eq!(texts(&text).unwrap(), expected),
            // It rejects an unpaired surrogate, which is accepted here.
            Err(_) => drop(texts(&text)),
        }
    }

    #[test]
    fn an_array_of_strings_is_read_as_any_other(text in r#"[ \n]?\[([ \t]?"([a-z]{0,9}|\\?[bfnrt"\\/x]|\\u[0-9a-g]{3,4}|\x1f|é){0,9}"[ ,\]]{0,2}|7|null|\[){0,3}[\] x]{0,2}"#) {
        let text = Text::from(text);
        if let Some(strings) = strings(&text) {
            let elements: Vec<&RawValue> = serde_json::from_str(text.as_str()).unwrap();
            let expected: Vec<_> = elements.into_iter().map(|one| text_of(&element(&text, one))).collect();
            prop_assert_eq!(strings.iter().map(text_of).collect::<Vec<_>>(), expected);
        } else if let Ok(expected) = serde_json::from_str::<Vec<String>>(text.as_str()) {
            prop_assert!(expected.is_empty(), "left to serde: {:?}", text.as_str());
        }
    }
}
