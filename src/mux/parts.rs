//! The elements of a frame's JSON array that both profiles share: objects, statuses, names.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::hop::{HEADER_MAX, LINES_MAX};
use crate::revision::Revision;

use super::frame::{Accepted, Denied, Frame, Hello, Id, Malformed, NUMBER_MAX, Open};

/// Returns the elements after the verb, and after the id if there is one.
pub(super) fn write(frame: &Frame) -> Value {
    match frame {
        Frame::Hello(hello) => json!([hello_object(hello)]),
        Frame::Open(_, open) => json!([open_object(open)]),
        Frame::Ok(_, accepted) => json!([ok_object(accepted)]),
        Frame::Deny(_, denied) => {
            let mut elements = vec![json!(denied.status.as_u16()), json!(denied.reason)];
            let mut more = Map::new();
            if !denied.headers.is_empty() {
                more.insert("headers".to_owned(), pairs(&denied.headers));
            }
            if denied.engine_io {
                more.insert("by".to_owned(), json!(ENGINE_IO));
            }
            if !more.is_empty() {
                elements.push(Value::Object(more));
            }
            Value::Array(elements)
        }
        Frame::Transport(_, word) => json!([word]),
        Frame::Drain(seconds) => json!([seconds]),
        Frame::Message(..) | Frame::Acks(_) | Frame::Close(..) | Frame::Sync { .. } => json!([]),
    }
}

fn hello_object(hello: &Hello) -> Value {
    let mut object = Map::new();
    object.insert("v".to_owned(), json!(VERSION));
    if hello.epoch.is_empty() {
        object.insert("resume".to_owned(), json!(hello.resume));
    } else {
        object.insert("epoch".to_owned(), json!(hello.epoch));
        object.insert("resume_ms".to_owned(), json!(hello.resume_ms));
    }
    object.insert("credit".to_owned(), json!(hello.credit));
    if let Some(max_message) = hello.max_message {
        object.insert("max_message".to_owned(), json!(max_message));
    }
    if hello.close_packets {
        object.insert("close_packets".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn open_object(open: &Open) -> Value {
    let mut object = json!({
        "path": open.path,
        "dialect": open.dialect,
        "transport": open.transport,
        "client": open.client,
        "headers": pairs(&open.headers),
        "protocols": open.protocols,
    });
    match open.revision {
        Some(Revision::V3) => object["eio"] = json!(3),
        // The default where the key is absent.
        Some(Revision::V4) | None => {}
    }
    object
}

fn ok_object(accepted: &Accepted) -> Value {
    let mut object = Map::new();
    if let Some(sid) = &accepted.sid {
        object.insert("sid".to_owned(), json!(sid));
    }
    if !accepted.headers.is_empty() {
        object.insert("headers".to_owned(), pairs(&accepted.headers));
    }
    if let Some(protocol) = &accepted.protocol {
        object.insert("protocol".to_owned(), json!(protocol));
    }
    let numbers = [
        ("ping_interval", accepted.ping_interval),
        ("ping_timeout", accepted.ping_timeout),
        ("max_payload", accepted.max_payload),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            object.insert(name.to_owned(), json!(number));
        }
    }
    Value::Object(object)
}

/// Reads a `hello`'s elements.
pub(super) fn hello(elements: &[Value]) -> Result<Frame, Malformed> {
    let object = object(elements.first())?;
    if number_of(object, "v")? != Some(VERSION) {
        return Err(Malformed("another version of the protocol"));
    }
    let flag = |name, fault| match object.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Malformed(fault)),
    };
    Ok(Frame::Hello(Hello {
        epoch: text_of(object, "epoch")?.unwrap_or_default(),
        credit: number_of(object, "credit")?.unwrap_or_default(),
        max_message: number_of(object, "max_message")?,
        resume_ms: number_of(object, "resume_ms")?.unwrap_or_default(),
        resume: flag("resume", "hello: resume is true or false")?,
        close_packets: flag("close_packets", "hello: close_packets is true or false")?,
    }))
}

/// Reads an `open`'s elements.
pub(super) fn open(id: Id, elements: &[Value]) -> Result<Frame, Malformed> {
    let object = object(elements.first())?;
    let text = |name| text_of(object, name)?.ok_or(Malformed("open: a field is missing"));
    let path = text("path")?;
    if !path.starts_with('/') {
        return Err(Malformed("open: a path begins with a slash"));
    }
    let protocols = object.get("protocols").and_then(texts);
    let protocols = protocols.ok_or(Malformed("open: protocols is a list of texts"))?;
    if !object.contains_key("headers") {
        return Err(Malformed("open: no headers"));
    }
    Ok(Frame::Open(
        id,
        Box::new(Open {
            path,
            dialect: text("dialect")?,
            revision: match number_of(object, "eio")? {
                None => None,
                Some(3) => Some(Revision::V3),
                Some(4) => Some(Revision::V4),
                Some(_) => return Err(Malformed("open: eio is 3 or 4")),
            },
            transport: text("transport")?,
            client: text("client")?,
            headers: headers_of(object)?,
            protocols,
        }),
    ))
}

/// Reads an `ok`'s elements, which may be absent.
pub(super) fn ok(id: Id, elements: &[Value]) -> Result<Frame, Malformed> {
    let empty = Map::new();
    let object = if elements.is_empty() { &empty } else { object(elements.first())? };
    Ok(Frame::Ok(
        id,
        Box::new(Accepted {
            sid: text_of(object, "sid")?,
            headers: headers_of_answer(object)?,
            protocol: text_of(object, "protocol")?,
            ping_interval: number_of(object, "ping_interval")?,
            ping_timeout: number_of(object, "ping_timeout")?,
            max_payload: number_of(object, "max_payload")?,
        }),
    ))
}

/// Reads a `deny`'s elements.
pub(super) fn deny(id: Id, elements: &[Value]) -> Result<Frame, Malformed> {
    let status = elements
        .first()
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (300..600).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or(Malformed("deny: a status is from 300 to 599"))?;
    let reason = elements.get(1).and_then(Value::as_str).ok_or(Malformed("deny: no reason"))?;
    let reason = reason[..reason.floor_char_boundary(REASON_MAX)].to_owned();
    let empty = Map::new();
    let more = if elements.len() > 2 { object(elements.get(2))? } else { &empty };
    let engine_io = text_of(more, "by")?.is_some_and(|by| by == ENGINE_IO);
    Ok(Frame::Deny(id, Box::new(Denied { status, reason, headers: headers_of_answer(more)?, engine_io })))
}

/// Reads a `transport`'s elements.
pub(super) fn transport(id: Id, elements: &[Value]) -> Result<Frame, Malformed> {
    let word = elements.first().and_then(Value::as_str).ok_or(Malformed("transport: no name"))?;
    Ok(Frame::Transport(id, word.to_owned()))
}

/// Reads a `drain`'s elements.
pub(super) fn drain(elements: &[Value]) -> Result<Frame, Malformed> {
    number(elements.first()).map(Frame::Drain)
}

/// Returns a number that is within the protocol's range.
pub(super) fn number(value: Option<&Value>) -> Result<u64, Malformed> {
    value
        .and_then(Value::as_u64)
        .filter(|number| *number <= NUMBER_MAX)
        .ok_or(Malformed("a number is a whole one from 0 to 2^53-1"))
}

fn object(value: Option<&Value>) -> Result<&Map<String, Value>, Malformed> {
    value.and_then(Value::as_object).ok_or(Malformed("an object is missing"))
}

fn number_of(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, Malformed> {
    object.get(name).map(|value| number(Some(value))).transpose()
}

fn text_of(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Malformed> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Malformed("a field that is a text is none")),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Returns headers as pairs. A header's value is bytes; each is written as the character with that number, as in HTTP's
/// ISO 8859-1.
fn pairs(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| {
            json!([name.as_str(), value.as_bytes().iter().copied().map(char::from).collect::<String>()])
        })
        .collect()
}

fn headers_of(object: &Map<String, Value>) -> Result<HeaderMap, Malformed> {
    let Some(list) = object.get("headers") else { return Ok(HeaderMap::new()) };
    if !list.is_array() {
        return Err(NO_PAIRS);
    }
    let pair = |value: &Value| {
        let [name, value] = value.as_array()?.as_slice() else { return None };
        let bytes: Option<Vec<u8>> = value.as_str()?.chars().map(|c| u8::try_from(c).ok()).collect();
        let name = HeaderName::from_bytes(name.as_str()?.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(&bytes?).ok()?))
    };
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    // A map of headers has an end, and panics beyond it.
    if list.len() > HEADERS_MAX {
        return Err(Malformed("headers are at most 1000"));
    }
    let mut map = HeaderMap::with_capacity(list.len());
    for one in list {
        let (name, value) = pair(one).ok_or(NO_PAIRS)?;
        map.append(name, value);
    }
    Ok(map)
}

/// Returns the headers of an answer, which a client may be slow to take.
fn headers_of_answer(object: &Map<String, Value>) -> Result<HeaderMap, Malformed> {
    let headers = headers_of(object)?;
    let len: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if len > HEADER_MAX { Err(Malformed("the headers of an answer are at most 64 KiB")) } else { Ok(headers) }
}

const NO_PAIRS: Malformed = Malformed("headers are pairs of a name and a value");
/// Twice as many as a client may send, as proxies add some.
const HEADERS_MAX: usize = 2 * LINES_MAX;
const _: () = assert!(HEADERS_MAX == 1000, "the fault says so");
/// As much as of any other refusal.
const REASON_MAX: usize = 64 << 10;
/// The version of this protocol.
const VERSION: u64 = 1;
/// Who denies, if it is an Engine.IO server.
const ENGINE_IO: &str = "engine.io";
