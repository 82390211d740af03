//! Which versions of Engine.IO are spoken, and what the handshake announces.

use super::verdict::{Check, Verdict};
use crate::codec::engineio::OpenPacket;
use crate::doctor::facts::Handshake;
use crate::doctor::remedy::Trouble;
use crate::revision::Revision;
use crate::units::{duration_text, size_text};

/// Judges the handshakes in each version.
pub(super) fn judge(handshakes: &[Handshake]) -> Verdict {
    let spoken = |revision| {
        handshakes.iter().find_map(|handshake| {
            handshake.open.as_ref().filter(|(came, _)| *came == revision).map(|(_, open)| open)
        })
    };
    let says = match (spoken(Revision::V4), spoken(Revision::V3)) {
        (Some(open), Some(_)) => format!("Engine.IO 4 and 3; {}", terms(open)),
        (Some(open), None) => format!("Engine.IO 4, not 3; {}", terms(open)),
        (None, Some(open)) => format!("Engine.IO 3 only; {}", terms(open)),
        (None, None) => {
            let evidence = handshakes.first().map(|handshake| handshake.exchange.lines());
            let says = "no handshake is answered as Engine.IO does";
            return Verdict::wrong(Trouble::Handshake, Check::Versions, says, evidence.unwrap_or_default());
        }
    };
    Verdict::ok(Check::Versions, says)
}

fn terms(open: &OpenPacket) -> String {
    let size = open.max_payload.map(|size| format!(", {}", size_text(size)));
    let (interval, timeout) = (duration_text(open.ping_interval), duration_text(open.ping_timeout));
    format!("heartbeat {interval} + {timeout}{}", size.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    const OPEN: &str = r#"0{"sid":"a","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

    fn handshake(status: u16, body: &str) -> Handshake {
        let answer = answer(status, &[], body);
        let open = answer.open();
        Handshake { exchange: exchange(answer), open }
    }

    #[test]
    fn a_version_is_spoken_if_it_came_not_if_it_was_asked_for() {
        let v3 = format!("{}:{OPEN}", OPEN.len());
        let both = |four: &str, three: &str| {
            let verdict = judge(&[handshake(200, four), handshake(200, three)]);
            (verdict.mark, verdict.says)
        };
        let terms = "heartbeat 25s + 20s, 1MB";
        assert_eq!(both(OPEN, &v3), (Mark::Ok, format!("Engine.IO 4 and 3; {terms}")));
        assert_eq!(both(OPEN, "{}"), (Mark::Ok, format!("Engine.IO 4, not 3; {terms}")));
        // A server of Socket.IO 2 ignores which version is asked for.
        assert_eq!(both(&v3, &v3), (Mark::Ok, format!("Engine.IO 3 only; {terms}")));
    }

    #[test]
    fn what_is_no_handshake_is_named_with_its_evidence() {
        let verdict = judge(&[handshake(404, "Not Found"), handshake(404, "")]);
        assert_eq!((verdict.mark, verdict.trouble), (Mark::Wrong, Some(Trouble::Handshake)));
        assert_eq!(verdict.evidence, ["GET /socket.io/", "404 Not Found Not Found, after 4 ms"]);
    }
}
