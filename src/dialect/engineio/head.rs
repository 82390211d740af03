//! What a request asks for, checked in the reference's order, which decides the error that a client sees.

use http::Method;
use http::header::ORIGIN;
use http::request::Parts;

use super::query::Query;
use crate::dialect::{Accepts, Known, Op, Reject, Road};
use crate::framing::{Framing, Jsonp, Revision};
use crate::packet::Transport;

pub(super) fn read(
    head: &Parts,
    road: Road,
    accepts: Accepts,
    find: &mut dyn FnMut(&str) -> Option<Known>,
) -> Result<Op, Reject> {
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let upgrade = road == Road::WebSocket;
    let transport = match query.transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        _ => return Err(Reject::UnknownTransport),
    };
    if head.headers.get(ORIGIN).is_some_and(|origin| !is_plain(origin.as_bytes())) {
        return Err(Reject::BadRequest);
    }
    // Exactly "4" is revision 4; every other value, and none, is revision 3.
    let revision = if query.eio.as_deref() == Some("4") { Revision::V4 } else { Revision::V3 };
    if let Some(sid) = query.sid.as_deref().filter(|sid| !sid.is_empty()) {
        let known = find(sid).ok_or(Reject::UnknownSid)?;
        if (!upgrade && known.transport != transport) || known.revision != revision {
            return Err(Reject::BadRequest);
        }
        return match (upgrade, &head.method) {
            (true, _) if transport == Transport::Polling => Ok(Op::CloseAtOnce),
            (true, _) => Ok(Op::Upgrade),
            // A GET with a WebSocket's transport and sid, but no upgrade: the session is on a WebSocket.
            (false, _) if transport == Transport::WebSocket => Err(Reject::BadRequest),
            (false, &Method::GET) => Ok(Op::Poll),
            (false, &Method::POST) => Ok(Op::Push),
            (false, _) => Err(Reject::BadMethod),
        };
    }
    if head.method != Method::GET {
        return Err(Reject::BadHandshakeMethod);
    }
    let jsonp =
        query.j.as_deref().filter(|j| !j.is_empty() && transport == Transport::Polling).map(Jsonp::new);
    let framing = Framing {
        revision,
        // A script is text, whether its client said so or not.
        binary: jsonp.is_none() && query.b64.as_deref().is_none_or(str::is_empty),
        jsonp,
        doubled: accepts.doubled && revision == Revision::V3,
    };
    match (transport, upgrade) {
        (Transport::WebSocket, false) => Err(Reject::BadRequest),
        (Transport::Polling, true) => Ok(Op::CloseAtOnce),
        (Transport::Polling, false) | (Transport::WebSocket, true) if !accepts.versions.has(revision) => {
            Err(Reject::UnsupportedVersion)
        }
        (Transport::Polling, false) | (Transport::WebSocket, true) => Ok(Op::Handshake(transport, framing)),
    }
}

/// Characters that a header's value may hold; the reference's table.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::framing::Versions;

    fn ask(
        method: &str,
        query: &str,
        upgrade: bool,
        known: Option<(Transport, Revision)>,
    ) -> Result<Op, Reject> {
        let request = Request::builder().method(method).uri(format!("/engine.io/?{query}"));
        let road = if upgrade { Road::WebSocket } else { Road::Http };
        let (head, ()) = request.body(()).unwrap().into_parts();
        let accepts = Accepts { versions: Versions { v3: false, v4: true }, doubled: false };
        read(&head, road, accepts, &mut |sid| {
            known.filter(|_| sid == "abc").map(|(transport, revision)| Known { transport, revision })
        })
    }

    /// A handshake where every revision is taken.
    fn begin(query: &str, doubled: bool) -> Framing {
        let request = Request::get(format!("/engine.io/?transport=polling&{query}"));
        let (head, ()) = request.body(()).unwrap().into_parts();
        match read(&head, Road::Http, Accepts { doubled, ..Accepts::default() }, &mut |_| None) {
            Ok(Op::Handshake(Transport::Polling, framing)) => framing,
            other => panic!("{query}: {other:?}"),
        }
    }

    const POLLING: Option<(Transport, Revision)> = Some((Transport::Polling, Revision::V4));
    const SOCKET: Option<(Transport, Revision)> = Some((Transport::WebSocket, Revision::V4));
    const V4: Framing = Framing::new(Revision::V4);
    const V3: Framing = Framing::new(Revision::V3);

    #[test]
    fn a_handshake_is_recognised() {
        let polling = Ok(Op::Handshake(Transport::Polling, V4));
        assert_eq!(ask("GET", "EIO=4&transport=polling", false, None), polling);
        assert_eq!(ask("GET", "transport=polling&EIO=4&t=x&sid=", false, None), polling);
        assert_eq!(
            ask("GET", "EIO=4&transport=websocket", true, None),
            Ok(Op::Handshake(Transport::WebSocket, V4))
        );
        let base64 = Framing { binary: false, ..V4 };
        assert_eq!(
            ask("GET", "EIO=4&transport=websocket&b64=1", true, None),
            Ok(Op::Handshake(Transport::WebSocket, base64))
        );
    }

    #[test]
    fn what_is_not_4_is_3_and_the_handshake_decides_how_it_is_written() {
        for query in ["EIO=3", "EIO=4.0", "EIO=", "x=1"] {
            assert_eq!(begin(query, false), V3, "{query}");
        }
        assert_eq!(begin("EIO=3&b64=1", false), Framing { binary: false, ..V3 });
        assert_eq!(begin("EIO=3&b64=true", false), Framing { binary: false, ..V3 });
        assert_eq!(begin("EIO=3&b64=", false), V3);
        let jsonp = |revision, digits| Framing {
            binary: false,
            jsonp: Some(Jsonp::new(digits)),
            ..Framing::new(revision)
        };
        assert_eq!(begin("EIO=3&j=2", false), jsonp(Revision::V3, "2"));
        assert_eq!(begin("EIO=4&j=x", false), jsonp(Revision::V4, ""));
        assert_eq!(begin("EIO=3&j=", false), V3);
        assert_eq!(begin("EIO=3", true), Framing { doubled: true, ..V3 });
        assert_eq!(begin("EIO=4", true), V4);
    }

    #[test]
    fn errors_come_in_the_references_order() {
        let cases = [
            ("GET", "EIO=4", false, Reject::UnknownTransport),
            ("GET", "EIO=4&transport=webtransport", false, Reject::UnknownTransport),
            ("POST", "EIO=4&transport=tobi&sid=nope", false, Reject::UnknownTransport),
            ("POST", "EIO=4&transport=polling&sid=nope", false, Reject::UnknownSid),
            ("GET", "EIO=4&transport=polling&sid=__proto__", false, Reject::UnknownSid),
            ("POST", "EIO=4&transport=polling", false, Reject::BadHandshakeMethod),
            ("OPTIONS", "EIO=4&transport=polling", false, Reject::BadHandshakeMethod),
            ("GET", "EIO=4&transport=websocket", false, Reject::BadRequest),
            ("GET", "EIO=3&transport=polling", false, Reject::UnsupportedVersion),
            ("GET", "EIO=4.0&transport=polling", false, Reject::UnsupportedVersion),
            ("GET", "transport=websocket", true, Reject::UnsupportedVersion),
        ];
        for (method, query, upgrade, reject) in cases {
            assert_eq!(ask(method, query, upgrade, None), Err(reject), "{method} {query}");
        }
    }

    #[test]
    fn a_session_is_asked_for_on_its_own_transport_and_revision() {
        assert_eq!(ask("GET", "EIO=4&transport=polling&sid=abc", false, POLLING), Ok(Op::Poll));
        assert_eq!(ask("POST", "EIO=4&transport=polling&sid=abc", false, POLLING), Ok(Op::Push));
        assert_eq!(ask("PUT", "EIO=4&transport=polling&sid=abc", false, POLLING), Err(Reject::BadMethod));
        assert_eq!(ask("GET", "EIO=4&transport=websocket&sid=abc", true, POLLING), Ok(Op::Upgrade));
        assert_eq!(ask("GET", "EIO=3&transport=websocket&sid=abc", true, POLLING), Err(Reject::BadRequest));
        assert_eq!(ask("GET", "EIO=4&transport=polling&sid=abc", true, POLLING), Ok(Op::CloseAtOnce));
        assert_eq!(ask("GET", "EIO=4&transport=polling&sid=abc", false, SOCKET), Err(Reject::BadRequest));
        assert_eq!(ask("GET", "EIO=4&transport=websocket&sid=abc", false, POLLING), Err(Reject::BadRequest));
        assert_eq!(ask("GET", "EIO=4&transport=websocket&sid=abc", false, SOCKET), Err(Reject::BadRequest));
    }
}
