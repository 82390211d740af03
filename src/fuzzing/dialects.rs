//! One request of each dialect's clients: what it asks for, and how its body is read and answered.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::table::find;
use crate::dialect::{
    Act, Ask, Backend, Dialect, Environment, Framing, Known, Place, Read, Refusal, Request, RequestKind,
    Settings,
};
use crate::packet::{Closing, Message, Packet, Text, Transport};
use crate::revision::{Protocol, Versions};
use crate::session::Ending;

pub(super) fn engineio(bytes: &[u8]) {
    ask("engine.io", bytes);
}

pub(super) fn sockjs(bytes: &[u8]) {
    ask("sockjs", bytes);
}

pub(super) fn longpoll(bytes: &[u8]) {
    ask("longpoll", bytes);
}

#[derive(Debug)]
struct Fixed;

impl Environment for Fixed {
    fn unix_time(&self) -> u64 {
        784_111_777
    }

    fn random(&self) -> u32 {
        7
    }

    fn allows_origin(&self, headers: &HeaderMap) -> bool {
        headers.get("origin").is_none_or(|origin| origin != "http://b.example")
    }

    fn is_restricted(&self) -> bool {
        true
    }

    fn handshakes_take(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Reads a request as a client writes it, and whatever its dialect makes of it.
fn ask(dialect: &str, bytes: &[u8]) {
    let Some((head, body)) = parsed(bytes) else { return };
    let backend = Backend { protocol: Protocol::EngineIo, versions: Versions::ALL, socket_io: false };
    let kind = find(dialect).expect("it is in the table");
    let dialect = (kind.build)(&Settings::default(), backend);
    let is_web_socket = head.headers.contains_key("upgrade");
    let request = Request {
        head: &head,
        path: head.uri.path(),
        kind: if is_web_socket { RequestKind::WebSocket } else { RequestKind::Http },
        environment: &Fixed,
    };

    match dialect.read(&request) {
        Err(_) => {}
        Ok(Ask::TurnAway(framing)) => exercise(&*framing, &head.headers, &body),
        Ok(Ask::Begin(beginning)) => exercise(&*beginning.framing, &head.headers, &body),
        Ok(Ask::Session(..)) => judge(&*dialect, &request, &body),
    }
}

/// Has the session of a request be anywhere, and exercises what is then to be done.
fn judge(dialect: &dyn Dialect, request: &Request<'_>, body: &Bytes) {
    let intent = || match dialect.read(request) {
        Ok(Ask::Session(_, intent)) => intent,
        other => panic!("it asks for something else the second time: {other:?}"),
    };
    let ending = Ending { closing: Closing::new(1000, "bye"), acknowledged: 1, sent: 2, unacknowledged: 1 };
    let (old, new) = (framing(dialect, "3"), framing(dialect, "4"));
    let here = Transport::ALL.iter().flat_map(|transport| {
        [(&old, false), (&new, false), (&new, true)].map(|(framing, is_relayed)| {
            Place::Here(Known { transport: transport.of_session(), framing, is_relayed })
        })
    });
    for place in here.chain([Place::Opening, Place::Gone(&ending), Place::Nowhere]) {
        match dialect.judge(intent(), &place, request) {
            Ok(Act::Begin(beginning)) => exercise(&*beginning.framing, &request.head.headers, body),
            Ok(
                Act::ReportEnd(framing, _)
                | Act::Poll(framing, _)
                | Act::Stream(framing, _)
                | Act::Push(framing)
                | Act::Leave(framing)
                | Act::Upgrade(framing)
                | Act::TurnAway(framing),
            ) => exercise(&*framing, &request.head.headers, body),
            Err(answered) => drop(answered),
        }
    }
    drop(dialect.refuse_unknown(intent(), request.kind));
}

/// Returns the framing of a session that a usual request begins.
fn framing(dialect: &dyn Dialect, version: &str) -> Arc<dyn Framing> {
    let requests = [
        format!("GET /?EIO={version}&transport=polling\n\n"),
        "POST /000/abc/xhr\n\n".to_owned(),
        "POST /\n\n".to_owned(),
    ];
    let begun = requests.iter().find_map(|request| {
        let (head, _) = parsed(request.as_bytes())?;
        let (path, kind) = (head.uri.path(), RequestKind::Http);
        let request = Request { head: &head, path, kind, environment: &Fixed };
        match dialect.read(&request).ok()? {
            Ask::Begin(beginning) => Some(beginning.framing),
            Ask::Session(_, intent) => {
                let Act::Begin(beginning) = dialect.judge(intent, &Place::Nowhere, &request).ok()? else {
                    return None;
                };
                Some(beginning.framing)
            }
            Ask::TurnAway(_) => None,
        }
    });
    begun.expect("one of them begins a session")
}

/// Reads a body in every way, and writes what was read in every other.
fn exercise(framing: &dyn Framing, headers: &HeaderMap, body: &Bytes) {
    let mut packets = Vec::new();
    if let Some(form) = framing.read_push(headers)
        && let Ok(read) = framing.decode_push(form, body.clone())
    {
        let read: Vec<_> = read.take(body.len() + 2).collect();
        assert!(read.len() <= body.len() + 1, "more packets than bytes");
        packets.extend(read.into_iter().flatten());
    }
    let frames = [
        framing.decode_text(Text::lossy(body.clone())),
        framing.decode_binary(body.clone()),
        Ok(Read::One(Packet::Message(Message::Binary(body.clone())))),
        Ok(Read::One(Packet::Close(Some(Box::new(Closing {
            code: None,
            reason: Text::lossy(body.clone()),
            by_packet: true,
        }))))),
    ];
    for frame in frames.into_iter().flatten() {
        match frame {
            Read::One(packet) => packets.push(packet),
            Read::Many(all) => packets.extend(all.flatten()),
        }
    }
    let last = packets.len() as u64;
    assert!(!framing.encode_poll(&packets).bytes.is_empty() || !framing.streams());
    drop((framing.encode_numbered(&packets, last), framing.encode_part(&packets, last)));
    drop((framing.begin_stream(), framing.encode_taken(), framing.ready_headers().cloned()));
    for packet in &packets {
        drop(framing.encode_frame(packet));
    }
    for refusal in [Refusal::Over, Refusal::Overlap, Refusal::TooLarge, Refusal::Forbidden] {
        assert!(framing.refuse(refusal, RequestKind::Http).status.as_u16() >= 200);
    }
}

/// Returns the request in these bytes: a method and a target, header lines, a blank line and a body.
fn parsed(bytes: &[u8]) -> Option<(Parts, Bytes)> {
    let behind = memchr::memmem::find(bytes, b"\n\n")?;
    let mut lines = bytes[..behind].split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut head = http::Request::builder().method(method).uri(target).body(()).ok()?.into_parts().0;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((head, Bytes::copy_from_slice(&bytes[behind + 2..])))
}
