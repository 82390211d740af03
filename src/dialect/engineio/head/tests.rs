//! The reference's order of errors, and what a first request decides.

use http::{HeaderMap, Request as HttpRequest};

use super::*;
use crate::dialect::engineio::EngineIo;
use crate::dialect::{Backend, Environment, Framing, Known};
use crate::revision::{Protocol, Versions};

fn engine_io(settings: Settings) -> EngineIo {
    let backend = Backend { protocol: Protocol::EngineIo, versions: Versions::ALL, socket_io: false };
    EngineIo::new(settings, backend)
}

#[derive(Debug)]
struct FixedEnvironment;

impl Environment for FixedEnvironment {
    fn unix_time(&self) -> u64 {
        0
    }

    fn allows_origin(&self, _headers: &HeaderMap) -> bool {
        true
    }

    fn is_restricted(&self) -> bool {
        false
    }

    fn handshakes_take(&self) -> Duration {
        Duration::ZERO
    }

    fn random(&self) -> u32 {
        0
    }
}

/// The result of a request.
#[derive(PartialEq, Eq, Debug)]
enum Op {
    Handshake(Transport, String),
    Poll,
    Push,
    Upgrade,
    CloseAtOnce,
    BadMethod,
    Refused(String),
}

fn handshake(transport: Transport, framing: EngineIoFraming) -> Op {
    Op::Handshake(transport, format!("{framing:?}"))
}

fn refused(fault: Fault, upgrade: bool) -> Op {
    let kind = if upgrade { RequestKind::WebSocket } else { RequestKind::Http };
    Op::Refused(format!("{:?}", fault.answer(kind).reply))
}

fn decided(done: Result<Act, Box<Answered>>) -> Op {
    match done {
        Ok(Act::Poll(..) | Act::Stream(..)) => Op::Poll,
        Ok(Act::Push(_)) => Op::Push,
        Ok(Act::Upgrade(_)) => Op::Upgrade,
        Ok(Act::TurnAway(_)) => Op::CloseAtOnce,
        Ok(Act::Begin(_) | Act::ReportEnd(..) | Act::Leave(_)) => {
            Op::Refused("it begins elsewhere".to_owned())
        }
        Err(answer) if answer.note == Note::Method => Op::BadMethod,
        Err(answer) => Op::Refused(format!("{:?}", answer.reply)),
    }
}

fn through(
    dialect: &EngineIo,
    method: &str,
    query: &str,
    upgrade: bool,
    known: Option<(Transport, Revision)>,
) -> Op {
    let request = HttpRequest::builder().method(method).uri(format!("/engine.io/?{query}"));
    let (head, ()) = request.body(()).unwrap().into_parts();
    let kind = if upgrade { RequestKind::WebSocket } else { RequestKind::Http };
    let ask = dialect.read(&Request { head: &head, path: "", kind, environment: &FixedEnvironment });
    let acts = match ask {
        Err(answer) => Err(answer),
        Ok(Ask::Begin(new)) => return Op::Handshake(new.transport, format!("{:?}", new.framing)),
        Ok(Ask::TurnAway(framing)) => Ok(Act::TurnAway(framing)),
        Ok(Ask::Session(sid, intent)) => {
            let session: Option<(Transport, Arc<dyn Framing>)> = known
                .filter(|_| sid == "abc")
                .map(|(transport, revision)| (transport, Arc::new(EngineIoFraming::new(revision)) as _));
            let place = session.as_ref().map_or(Place::Nowhere, |(transport, framing)| {
                Place::Here(Known { transport: *transport, framing, is_relayed: false })
            });
            let number = dialect.number(&intent);
            let act = judge(intent, &place);
            if let Some(number) = number {
                let numbered = dialect.judge_number(number, &place);
                assert_eq!(format!("{numbered:?}"), format!("{:?}", act.as_ref().ok()), "{method} {query}");
            }
            act
        }
    };
    decided(acts)
}

fn ask(method: &str, query: &str, upgrade: bool, known: Option<(Transport, Revision)>) -> Op {
    let settings = Settings { versions: Versions { v3: false, v4: true }, ..Settings::default() };
    through(&engine_io(settings), method, query, upgrade, known)
}

/// Reads a handshake on a route that accepts every revision.
fn begin(query: &str, utf8_twice: bool) -> Op {
    let dialect = engine_io(Settings { utf8_twice, ..Settings::default() });
    through(&dialect, "GET", &format!("transport=polling&{query}"), false, None)
}

fn first(framing: EngineIoFraming) -> Op {
    handshake(Transport::Polling, framing)
}

const POLLING: Option<(Transport, Revision)> = Some((Transport::Polling, Revision::V4));
const SOCKET: Option<(Transport, Revision)> = Some((Transport::WebSocket, Revision::V4));
const V4: EngineIoFraming = EngineIoFraming::new(Revision::V4);
const V3: EngineIoFraming = EngineIoFraming::new(Revision::V3);

#[test]
fn a_handshake_is_recognised() {
    let polling = || handshake(Transport::Polling, V4);
    assert_eq!(ask("GET", "EIO=4&transport=polling", false, None), polling());
    assert_eq!(ask("GET", "transport=polling&EIO=4&t=x&sid=", false, None), polling());
    assert_eq!(ask("GET", "EIO=4&transport=websocket", true, None), handshake(Transport::WebSocket, V4));
    let base64 = EngineIoFraming { binary: false, ..V4 };
    assert_eq!(
        ask("GET", "EIO=4&transport=websocket&b64=1", true, None),
        handshake(Transport::WebSocket, base64)
    );
}

#[test]
fn what_is_not_4_is_3_and_the_handshake_decides_how_it_is_written() {
    for query in ["EIO=3", "EIO=4.0", "EIO=", "x=1"] {
        assert_eq!(begin(query, false), first(V3), "{query}");
    }
    assert_eq!(begin("EIO=3&b64=1", false), first(EngineIoFraming { binary: false, ..V3 }));
    assert_eq!(begin("EIO=3&b64=true", false), first(EngineIoFraming { binary: false, ..V3 }));
    assert_eq!(begin("EIO=3&b64=", false), first(V3));
    let jsonp = |revision, digits| EngineIoFraming {
        binary: false,
        jsonp: Some(Jsonp::new(digits)),
        ..EngineIoFraming::new(revision)
    };
    assert_eq!(begin("EIO=3&j=2", false), first(jsonp(Revision::V3, "2")));
    assert_eq!(begin("EIO=4&j=x", false), first(jsonp(Revision::V4, "")));
    assert_eq!(begin("EIO=3&j=", false), first(V3));
    assert_eq!(begin("EIO=3", true), first(EngineIoFraming { utf8_twice: true, ..V3 }));
    assert_eq!(begin("EIO=4", true), first(V4));
}

#[test]
fn errors_come_in_the_references_order() {
    let cases = [
        ("GET", "EIO=4", false, Fault::UnknownTransport),
        ("GET", "EIO=4&transport=webtransport", false, Fault::UnknownTransport),
        ("POST", "EIO=4&transport=tobi&sid=nope", false, Fault::UnknownTransport),
        ("POST", "EIO=4&transport=polling&sid=nope", false, Fault::UnknownSid),
        ("GET", "EIO=4&transport=polling&sid=__proto__", false, Fault::UnknownSid),
        ("POST", "EIO=4&transport=polling", false, Fault::BadHandshakeMethod),
        ("OPTIONS", "EIO=4&transport=polling", false, Fault::BadHandshakeMethod),
        ("GET", "EIO=4&transport=websocket", false, Fault::BadRequest),
        ("GET", "EIO=3&transport=polling", false, Fault::UnsupportedVersion),
        ("GET", "EIO=4.0&transport=polling", false, Fault::UnsupportedVersion),
        ("GET", "transport=websocket", true, Fault::UnsupportedVersion),
    ];
    for (method, query, upgrade, fault) in cases {
        assert_eq!(ask(method, query, upgrade, None), refused(fault, upgrade), "{method} {query}");
    }
}

#[test]
fn a_session_is_asked_for_on_its_own_transport_and_revision() {
    assert_eq!(ask("GET", "EIO=4&transport=polling&sid=abc", false, POLLING), Op::Poll);
    assert_eq!(ask("POST", "EIO=4&transport=polling&sid=abc", false, POLLING), Op::Push);
    assert_eq!(ask("PUT", "EIO=4&transport=polling&sid=abc", false, POLLING), Op::BadMethod);
    assert_eq!(ask("GET", "EIO=4&transport=websocket&sid=abc", true, POLLING), Op::Upgrade);
    assert_eq!(
        ask("GET", "EIO=3&transport=websocket&sid=abc", true, POLLING),
        refused(Fault::BadRequest, true)
    );
    assert_eq!(ask("GET", "EIO=4&transport=polling&sid=abc", true, POLLING), Op::CloseAtOnce);
    assert_eq!(
        ask("GET", "EIO=4&transport=polling&sid=abc", false, SOCKET),
        refused(Fault::BadRequest, false)
    );
    assert_eq!(
        ask("GET", "EIO=4&transport=websocket&sid=abc", false, POLLING),
        refused(Fault::BadRequest, false)
    );
    assert_eq!(
        ask("GET", "EIO=4&transport=websocket&sid=abc", false, SOCKET),
        refused(Fault::BadRequest, false)
    );
}
