//! Bodies good and bad, and random arrays.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn texts(body: &str) -> Result<Vec<String>, Unreadable> {
    let messages = Elements::of_body(Bytes::copy_from_slice(body.as_bytes()))?;
    Ok(messages.map(text_of).collect())
}

fn text_of(message: Message) -> String {
    let Message::Text(text) = message else { panic!("binary") };
    text.as_str().to_owned()
}

/// As many as fit take no more than their body.
#[test]
fn elements_are_taken_one_by_one() {
    let body = Bytes::from(format!("[{}\"\"]", "\"\",".repeat(100_000)));
    let elements = Elements::of_body(body).unwrap();
    assert!(size_of_val(&elements) <= 40);
    assert_eq!(elements.count(), 100_001);
}

/// It would take half an hour if each element had all that is left looked at.
#[test]
fn an_element_costs_no_more_for_what_stands_behind_it() {
    let body = format!("[{}\"{}\"]", "\"\",1 ,".repeat(50_000), "é".repeat(400_000));
    let elements = Elements::of_frame(Text::from(body)).unwrap();
    assert_eq!(elements.map(|element| text_of(element).len()).sum::<usize>(), 50_000 + 800_000);
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
    let mut messages = Elements::of_body(Bytes::from_static(b"[\"a\xffb\"]")).unwrap();
    assert_eq!(messages.next().map(text_of).as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn a_deep_element_is_no_panic() {
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(texts(&deep).unwrap()[0].len(), 200_000);
}

#[test]
fn a_frame_holds_an_array_or_one_message_or_nothing() {
    let read = |text: &str| {
        Elements::of_frame(Text::from(text)).map(|messages| messages.map(text_of).collect::<Vec<_>>())
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
    let message = Elements::of_body(body.clone()).unwrap().next().unwrap();
    let Message::Text(text) = message else { panic!("binary") };
    assert_eq!(text.as_bytes().as_ptr(), body[2..].as_ptr());
}

proptest! {
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
        let elements = serde_json::from_str::<Vec<&RawValue>>(&text).ok();
        let of_one = |one: &RawValue| {
            let text = Text::from(one.get());
            text_of(message(&text, text.as_str()))
        };
        let expected = elements.map(|all| all.into_iter().map(of_one).collect::<Vec<_>>());
        prop_assert_eq!(texts(&text).ok(), expected.clone());
        // Strings alone are not left to serde.
        let are_strings = serde_json::from_str::<Vec<String>>(&text).is_ok_and(|all| !all.is_empty());
        prop_assert!(has_only_strings(&text).is_some() || !are_strings);
        prop_assert!(has_only_strings(&text).is_none() || expected.is_some());
    }

    #[test]
    fn any_elements_are_passed_on_as_they_are_written(values in proptest::collection::vec(value(), 0..6), space in "[ \n\t]{0,2}") {
        let written: Vec<_> = values.iter().map(|value| format!("{space}{value}{space}")).collect();
        let body = format!("{space}[{}]{space}", if values.is_empty() { space.clone() } else { written.join(",") });
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let expected: Vec<_> = values.iter().map(shown).collect();
        prop_assert_eq!(texts(&body).unwrap(), expected);
    }
}

/// Any JSON, nested a little.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        r#"[a-c,:"\\\[\]{}é]{0,6}"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec(("[a-c,\\]\"]{0,3}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
