//! What a request asks for, checked in the reference's order, which decides the error that a client sees.

use std::sync::Arc;

use http::header::ORIGIN;
use http::{Method, StatusCode};

use super::framing::{EngineIoFraming, Jsonp, number};
use super::query::Query;
use super::reply::{Fault, empty};
use super::settings::Settings;
use crate::dialect::{Act, Answered, Ask, Beginning, Note, Place, Request, Road, Want, Wish};
use crate::packet::Transport;
use crate::revision::Revision;

/// What a request asks for; `begin` says how a session begins.
pub(super) fn read<'h>(
    request: &Request<'h>,
    settings: Settings,
    begin: impl FnOnce(EngineIoFraming, Transport, &str) -> Beginning,
) -> Result<Ask<'h>, Box<Answered>> {
    let &Request { head, road, .. } = request;
    let written = head.uri.query().unwrap_or_default();
    let query = Query::parse(written);
    let transport = match query.transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        _ => return Err(Fault::UnknownTransport.answer(road)),
    };
    if head.headers.get(ORIGIN).is_some_and(|origin| !is_plain(origin.as_bytes())) {
        return Err(Fault::BadRequest.answer(road));
    }
    // Exactly "4" is revision 4; every other value, and none, is revision 3.
    let revision = if query.eio.as_deref() == Some("4") { Revision::V4 } else { Revision::V3 };
    if let Some(sid) = query.sid.filter(|sid| !sid.is_empty()) {
        let wish = match (road, transport, &head.method) {
            (Road::WebSocket, Transport::Polling, _) => Wish::TurnAway,
            (Road::WebSocket, Transport::WebSocket, _) => Wish::Upgrade,
            // A GET with a WebSocket's transport and sid, but no upgrade: the session is on a WebSocket.
            (Road::Http, Transport::WebSocket, _) => Wish::Nothing(Fault::BadRequest.answer(road)),
            (Road::Http, Transport::Polling, &Method::GET) => Wish::Poll,
            (Road::Http, Transport::Polling, &Method::POST) => Wish::Push,
            (Road::Http, Transport::Polling, _) => Wish::Nothing(useless_method()),
        };
        return Ok(Ask::Session(sid, Want { wish, transport, version: number(revision) }));
    }
    if head.method != Method::GET {
        return Err(Fault::BadHandshakeMethod.answer(road));
    }
    match (transport, road) {
        (Transport::WebSocket, Road::Http) => return Err(Fault::BadRequest.answer(road)),
        (Transport::Polling, Road::WebSocket) => return Ok(Ask::TurnAway(turned_away())),
        (Transport::Polling, Road::Http) | (Transport::WebSocket, Road::WebSocket) => {}
    }
    if !settings.versions.has(revision) {
        // Nothing else of a query may reach a log.
        let version = written.split('&').find(|pair| pair.starts_with("EIO=")).unwrap_or("no EIO");
        let mut answer = Fault::UnsupportedVersion.answer(road);
        answer.note = Note::Version(version.to_owned());
        return Err(answer);
    }
    let jsonp =
        query.j.as_deref().filter(|j| !j.is_empty() && transport == Transport::Polling).map(Jsonp::new);
    let framing = EngineIoFraming {
        revision,
        // A script is text, whether its client said so or not.
        binary: jsonp.is_none() && query.b64.as_deref().is_none_or(str::is_empty),
        jsonp,
        doubled: settings.doubled && revision == Revision::V3,
    };
    Ok(Ask::Begin(Box::new(begin(framing, transport, written))))
}

/// What a request means for its session.
pub(super) fn judge(want: Want, place: &Place<'_>) -> Result<Act, Box<Answered>> {
    let Want { wish, transport, version } = want;
    let road = match wish {
        Wish::Upgrade | Wish::TurnAway => Road::WebSocket,
        Wish::Poll | Wish::Push | Wish::Nothing(_) => Road::Http,
    };
    let Place::Here(known) = place else { return Err(Fault::UnknownSid.answer(road)) };
    let is_elsewhere = road == Road::Http && known.transport != transport;
    if is_elsewhere || known.framing.version() != version {
        return Err(Fault::BadRequest.answer(road));
    }
    let framing = Arc::clone(known.framing);
    match wish {
        Wish::Poll => Ok(Act::Poll(framing)),
        Wish::Push => Ok(Act::Push(framing)),
        Wish::Upgrade if !known.is_relayed => Ok(Act::Upgrade(framing)),
        // A session that began with a WebSocket keeps the one it has.
        Wish::Upgrade | Wish::TurnAway => Ok(Act::TurnAway(turned_away())),
        Wish::Nothing(answer) => Err(answer),
    }
}

/// On a WebSocket that is closed at once nothing is written.
fn turned_away() -> Arc<EngineIoFraming> {
    Arc::new(EngineIoFraming::new(Revision::V4))
}

fn useless_method() -> Box<Answered> {
    Box::new(Answered { reply: empty(StatusCode::INTERNAL_SERVER_ERROR), note: Note::Method })
}

/// Characters that a header's value may hold; the reference's table.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

#[cfg(test)]
mod tests {
    use http::Request as HttpRequest;

    use super::*;
    use crate::dialect::engineio::EngineIo;
    use crate::dialect::{Backend, Dialect as _, Framing, Known, World};
    use crate::revision::{Protocol, Versions};

    fn engine_io(settings: Settings) -> EngineIo {
        let backend = Backend { protocol: Protocol::EngineIo, versions: Versions::ALL, socket_io: false };
        EngineIo::new(settings, backend)
    }

    #[derive(Debug)]
    struct Nowhere;

    impl World for Nowhere {
        fn unix_time(&self) -> u64 {
            0
        }

        fn random(&self) -> u32 {
            0
        }
    }

    /// What became of a request.
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
        let road = if upgrade { Road::WebSocket } else { Road::Http };
        Op::Refused(format!("{:?}", fault.answer(road).reply))
    }

    fn decided(done: Result<Act, Box<Answered>>) -> Op {
        match done {
            Ok(Act::Poll(_)) => Op::Poll,
            Ok(Act::Push(_)) => Op::Push,
            Ok(Act::Upgrade(_)) => Op::Upgrade,
            Ok(Act::TurnAway(_)) => Op::CloseAtOnce,
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
        let road = if upgrade { Road::WebSocket } else { Road::Http };
        let ask = dialect.read(&Request { head: &head, path: "", road, world: &Nowhere });
        let acts = match ask {
            Err(answer) => Err(answer),
            Ok(Ask::Begin(new)) => return Op::Handshake(new.transport, format!("{:?}", new.framing)),
            Ok(Ask::TurnAway(framing)) => Ok(Act::TurnAway(framing)),
            Ok(Ask::Session(sid, want)) => {
                let session: Option<(Transport, Arc<dyn Framing>)> = known
                    .filter(|_| sid == "abc")
                    .map(|(transport, revision)| (transport, Arc::new(EngineIoFraming::new(revision)) as _));
                let place = session.as_ref().map_or(Place::Nowhere, |(transport, framing)| {
                    Place::Here(Known { transport: *transport, framing, is_relayed: false })
                });
                judge(want, &place)
            }
        };
        decided(acts)
    }

    fn ask(method: &str, query: &str, upgrade: bool, known: Option<(Transport, Revision)>) -> Op {
        let settings = Settings { versions: Versions { v3: false, v4: true }, ..Settings::default() };
        through(&engine_io(settings), method, query, upgrade, known)
    }

    /// A handshake where every revision is taken.
    fn begin(query: &str, doubled: bool) -> Op {
        let dialect = engine_io(Settings { doubled, ..Settings::default() });
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
        assert_eq!(begin("EIO=3", true), first(EngineIoFraming { doubled: true, ..V3 }));
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
}
