//! Why a namespace is refused: `message` and `data` in an object in the new protocol, one of the two in the old one.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Returns what Socket.IO 2 sends for the same error: its data if it has any, otherwise its message.
pub(super) fn to_old(data: &[u8]) -> String {
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(data) else {
        return as_it_is(data).unwrap_or_else(|| UNNAMED.to_owned());
    };
    let member = |name: &str| members.get(name).map(|value| value.get());
    // The old client's parser rejects other data, such as a bare number.
    let is_carried =
        |value: &&str| value.starts_with(['{', '[']) || (value.starts_with('"') && *value != "\"\"");
    let chosen = member("data").filter(is_carried).or_else(|| member("message"));
    chosen.map_or_else(|| as_it_is(data).unwrap_or_default(), str::to_owned)
}

/// Returns what a client of Socket.IO 4 reads as an error. A text is its message; anything else is its data, with the
/// data's own message if it has one.
pub(super) fn to_new(data: &[u8]) -> String {
    let Some(data) = as_it_is(data) else {
        return format!(r#"{{"message":{UNNAMED}}}"#);
    };
    if data.starts_with('"') {
        return format!(r#"{{"message":{data}}}"#);
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(&data).unwrap_or_default();
    let message = members.get("message").map(|value| value.get()).filter(|value| value.starts_with('"'));
    format!(r#"{{"message":{},"data":{data}}}"#, message.unwrap_or(UNNAMED))
}

/// Returns the event that reports to a client of Socket.IO 4 an error in a namespace that stays connected, for which
/// the new protocol has no packet: `socket.on("error")` works as before.
pub(super) fn to_event(data: &[u8]) -> String {
    format!(r#"["error",{}]"#, as_it_is(data).as_deref().unwrap_or(UNNAMED))
}

/// Returns the bytes if they are JSON.
fn as_it_is(data: &[u8]) -> Option<String> {
    serde_json::from_slice::<&RawValue>(data).ok().map(|raw| raw.get().to_owned())
}

/// The error if none was given.
const UNNAMED: &str = r#""error""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_client_gets_the_data_or_the_message() {
        for (new, old) in [
            (r#"{"message":"denied"}"#, r#""denied""#),
            (r#"{"message":"m","data":{"b":1,"a":2.0}}"#, r#"{"b":1,"a":2.0}"#),
            (r#"{"message":"m","data":["x"]}"#, r#"["x"]"#),
            (r#"{"message":"m","data":"code"}"#, r#""code""#),
            (r#"{"message":"m","data":""}"#, r#""m""#),
            (r#"{"message":"m","data":null}"#, r#""m""#),
            (r#"{"message":"m","data":5}"#, r#""m""#),
            (r#"{"message":"\ud800"}"#, r#""\ud800""#),
            (r#"{"reason":1}"#, r#"{"reason":1}"#),
            (r#""text""#, r#""text""#),
            ("", r#""error""#),
            ("{", r#""error""#),
        ] {
            assert_eq!(to_old(new.as_bytes()), old, "{new}");
        }
    }

    #[test]
    fn the_new_client_gets_a_message_and_the_data() {
        for (old, new) in [
            (r#""denied""#, r#"{"message":"denied"}"#),
            (r#"{"b":1,"a":2}"#, r#"{"message":"error","data":{"b":1,"a":2}}"#),
            (r#"{"message":"m"}"#, r#"{"message":"m","data":{"message":"m"}}"#),
            (r#"{"message":5}"#, r#"{"message":"error","data":{"message":5}}"#),
            ("[1]", r#"{"message":"error","data":[1]}"#),
            ("", r#"{"message":"error"}"#),
            ("{", r#"{"message":"error"}"#),
        ] {
            assert_eq!(to_new(old.as_bytes()), new, "{old}");
        }
        assert_eq!(to_event(br#""mw says no""#), r#"["error","mw says no"]"#);
    }
}
