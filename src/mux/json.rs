//! The JSON profile: a frame is an array whose first element is the verb.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::frame::{Ack, Frame, Held, Id, Malformed, NUMBER_MAX};
use super::{bounds, parts};
use crate::packet::{Closing, Message, Text};

/// Writes a frame.
pub(super) fn encode(frame: &Frame) -> String {
    match frame {
        Frame::Hello(_) => verb("hello", None, parts::write(frame)),
        Frame::Open(id, _) => verb("open", Some(*id), parts::write(frame)),
        Frame::Ok(id, _) => verb("ok", Some(*id), parts::write(frame)),
        Frame::Deny(id, _) => verb("deny", Some(*id), parts::write(frame)),
        Frame::Transport(id, _) => verb("transport", Some(*id), parts::write(frame)),
        Frame::Drain(_) => verb("drain", None, parts::write(frame)),
        Frame::Message(id, seq, Message::Text(text)) => {
            format!(r#"["t","s{}",{seq},{}]"#, id.get(), json!(text.as_str()))
        }
        Frame::Message(id, seq, Message::Binary(bytes)) => {
            format!(r#"["b","s{}",{seq},"{}"]"#, id.get(), STANDARD.encode(bytes))
        }
        Frame::Acks(acks) => {
            let list: Value = acks.iter().map(|ack| json!([name(ack.id), ack.seq, ack.limit])).collect();
            json!(["a", list]).to_string()
        }
        Frame::Close(id, seq, closing) => {
            let code = closing.code.unwrap_or(NO_CODE);
            let mut frame = json!(["x", name(*id), seq, code, closing.reason.as_str()]);
            if let (true, Value::Array(elements)) = (closing.by_packet, &mut frame) {
                elements.push(json!(true));
            }
            frame.to_string()
        }
        Frame::Sync { epoch, sessions, more } => {
            let seq = |held: &Held| held.seq.map_or_else(|| json!(-1), |seq| json!(seq));
            let list: Value =
                sessions.iter().map(|held| json!([name(held.id), seq(held), held.limit])).collect();
            let mut elements = vec![json!("sync")];
            elements.extend(epoch.iter().map(|epoch| json!(epoch)));
            elements.push(list);
            elements.extend(more.then(|| json!(true)));
            Value::Array(elements).to_string()
        }
    }
}

fn verb(verb: &str, id: Option<Id>, rest: Value) -> String {
    let mut elements = vec![json!(verb)];
    elements.extend(id.map(|id| json!(name(id))));
    if let Value::Array(rest) = rest {
        elements.extend(rest);
    }
    Value::Array(elements).to_string()
}

/// Reads a frame.
pub(super) fn decode(text: &str) -> Result<Frame, Malformed> {
    let verb = begin_of(text);
    if !matches!(verb, Some("t" | "b")) {
        bounds::short(text.as_bytes())?;
    }
    let is_list = matches!(verb, Some("a" | "sync"));
    bounds::few_values(text.as_bytes(), if is_list { bounds::LIST_VALUES_MAX } else { bounds::VALUES_MAX })?;
    let frame: Value = serde_json::from_str(text).map_err(|_| Malformed("not JSON"))?;
    let elements = frame.as_array().ok_or(Malformed("a frame is an array"))?;
    let verb = elements.first().and_then(Value::as_str).ok_or(Malformed("a frame begins with a verb"))?;
    let rest = elements.get(2..).unwrap_or_default();
    match verb {
        "hello" => parts::hello(&elements[1..]),
        "open" => parts::open(id(elements.get(1))?, rest),
        "ok" => parts::ok(id(elements.get(1))?, rest),
        "deny" => parts::deny(id(elements.get(1))?, rest),
        "transport" => parts::transport(id(elements.get(1))?, rest),
        "drain" => parts::drain(&elements[1..]),
        "t" | "b" => message(verb, id(elements.get(1))?, rest),
        "x" => close(id(elements.get(1))?, rest),
        "a" => {
            let ack = |entry: &Value| {
                let entry = entry.as_array().ok_or(Malformed("a: an entry is an array"))?;
                let (seq, limit) = (parts::number(entry.get(1))?, parts::number(entry.get(2))?);
                Ok(Ack { id: id(entry.first())?, seq, limit })
            };
            list(elements.get(1))?.iter().map(ack).collect::<Result<_, _>>().map(Frame::Acks)
        }
        "sync" => sync(&elements[1..]),
        _ => Err(Malformed("an unknown verb")),
    }
}

/// Returns the verb of a frame that was not parsed yet.
fn begin_of(text: &str) -> Option<&str> {
    let space = [' ', '\t', '\n', '\r'];
    let rest = text.trim_start_matches(space).strip_prefix('[')?.trim_start_matches(space);
    Some(rest.strip_prefix('"')?.split_once('"')?.0)
}

fn message(verb: &str, id: Id, rest: &[Value]) -> Result<Frame, Malformed> {
    let seq = parts::number(rest.first())?;
    let payload = rest.get(1).and_then(Value::as_str).ok_or(Malformed("a message has a text"))?;
    let message = if verb == "t" {
        Message::text(payload)
    } else {
        let bytes = STANDARD.decode(payload).map_err(|_| Malformed("b: not base64"))?;
        Message::Binary(Bytes::from(bytes))
    };
    Ok(Frame::Message(id, seq, message))
}

fn close(id: Id, rest: &[Value]) -> Result<Frame, Malformed> {
    let seq = parts::number(rest.first())?;
    let code = parts::number(rest.get(1))?;
    let reason = rest.get(2).and_then(Value::as_str).ok_or(Malformed("x: no reason"))?;
    let by_packet = rest.get(3) == Some(&Value::Bool(true));
    Ok(Frame::Close(id, seq, closing(code, Text::from(reason), by_packet)?))
}

/// Returns a close code and its reason.
pub(super) fn closing(code: u64, reason: Text, by_packet: bool) -> Result<Closing, Malformed> {
    let code = u16::try_from(code).ok().filter(|code| (1000..5000).contains(code));
    let code = code.ok_or(Malformed("x: a code is from 1000 to 4999"))?;
    // A client's Close frame has room for no more (RFC 6455, section 5.5), and the reason may wait for it.
    let reason = if reason.len() > REASON_MAX {
        let text = reason.as_str();
        Text::from(&text[..text.floor_char_boundary(REASON_MAX)])
    } else {
        reason
    };
    Ok(Closing { code: Some(code).filter(|&code| code != NO_CODE), reason, by_packet })
}

fn sync(elements: &[Value]) -> Result<Frame, Malformed> {
    let (epoch, elements) = match elements.first() {
        // As in the binary profile, an empty one is none.
        Some(Value::String(epoch)) => (Some(epoch.clone()).filter(|epoch| !epoch.is_empty()), &elements[1..]),
        _ => (None, elements),
    };
    let more = match elements.get(1) {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(Malformed("sync: behind the list stands true, or nothing")),
    };
    let held = |entry: &Value| {
        let entry = entry.as_array().ok_or(Malformed("sync: an entry is an array"))?;
        let seq = match entry.get(1).and_then(Value::as_i64) {
            Some(-1) => None,
            _ => Some(parts::number(entry.get(1))?),
        };
        // The binary profile has a number more than this.
        if seq == Some(NUMBER_MAX) {
            return Err(Malformed("sync: a seq is at most 2^53-2"));
        }
        let (id, limit) = (id(entry.first())?, parts::number(entry.get(2))?);
        Ok(Held { id, seq, limit })
    };
    let sessions = list(elements.first())?.iter().map(held).collect::<Result<_, _>>()?;
    Ok(Frame::Sync { epoch, sessions, more })
}

fn list(value: Option<&Value>) -> Result<&Vec<Value>, Malformed> {
    value.and_then(Value::as_array).ok_or(Malformed("a list is missing"))
}

fn name(id: Id) -> String {
    format!("s{}", id.get())
}

/// Accepts only one spelling of each number, so that an id has one name.
fn id(value: Option<&Value>) -> Result<Id, Malformed> {
    let digits = value.and_then(Value::as_str).and_then(|name| name.strip_prefix('s'));
    digits
        .filter(|digits| !digits.starts_with(['0', '+']))
        .and_then(|digits| digits.parse().ok())
        .and_then(Id::new)
        .ok_or(Malformed("a session id is the letter s and a number"))
}

const REASON_MAX: usize = 123;
/// Stands for a close without a code (RFC 6455, section 7.4.1).
pub(super) const NO_CODE: u16 = 1005;
