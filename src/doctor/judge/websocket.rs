//! Whether a WebSocket opens, and which header was taken away where it does not.

use http::StatusCode;
use http::header::SEC_WEBSOCKET_ACCEPT;

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Answer, Facts, Opening};
use crate::doctor::remedy::Trouble;

/// Judges a WebSocket of its own, and that of a polling session.
pub(super) fn judge(facts: &Facts, are_lost: bool) -> Vec<Verdict> {
    let offers = facts.handshakes.iter().any(|one| one.open.as_ref().is_some_and(|(_, open)| open.upgrades));
    let Some(opening) = &facts.web_socket else {
        return vec![Verdict::unseen(Check::WebSocket, "not seen")];
    };
    let own = of(Check::WebSocket, opening, offers, OPEN);
    let is_open = matches!(opening.first, Some(Ok(())));
    let upgrade = match &facts.upgrade {
        _ if !is_open => return vec![own],
        _ if are_lost => Verdict::behind(Check::Upgrade),
        Some(opening) if opening.exchange.is_unknown_session() => {
            let says = "reaches another server than its session";
            Verdict::wrong(Trouble::Stickiness, Check::Upgrade, says, opening.exchange.lines())
        }
        Some(opening) => of(Check::Upgrade, opening, offers, "the pong of the probe"),
        None if !offers => Verdict::note(Check::Upgrade, "the server offers none to polling clients"),
        None => Verdict::unseen(Check::Upgrade, "not seen"),
    };
    vec![own, upgrade]
}

/// Judges the handshake of a WebSocket, and whether what shows that it carries frames came, which is `first` in words. `offers`: the
/// server says that it speaks WebSocket.
pub(super) fn of(check: Check, opening: &Opening, offers: bool, first: &str) -> Verdict {
    let exchange = &opening.exchange;
    let evidence = |came: &str| vec![exchange.asked.clone(), came.to_owned()];
    let Some(answer) = &exchange.answer else {
        let says = "its request is not answered";
        return Verdict::wrong(Trouble::UpgradeBlocked, check, says, exchange.lines());
    };
    match refusal(answer) {
        Some(Refusal::NotOffered) if !offers => {
            return Verdict::note(check, "the server speaks no WebSocket");
        }
        Some(Refusal::NotOffered) => {
            let says = "the server offers an upgrade, and refuses WebSocket";
            return Verdict::wrong(Trouble::UpgradeBlocked, check, says, exchange.lines());
        }
        Some(Refusal::NoUpgrade) => {
            let says = "its request arrives without Upgrade";
            return Verdict::wrong(Trouble::UpgradeBlocked, check, says, exchange.lines());
        }
        Some(Refusal::NoKey) => {
            let says = "its request arrives without Sec-WebSocket headers";
            return Verdict::wrong(Trouble::UpgradeStripped, check, says, exchange.lines());
        }
        Some(Refusal::Other) => {
            let says = format!("its request is answered {}", answer.status.as_u16());
            return Verdict::wrong(Trouble::UpgradeBlocked, check, says, exchange.lines());
        }
        None => {}
    }
    match answer.all(&SEC_WEBSOCKET_ACCEPT).as_slice() {
        [accept] if *accept == opening.accept => {}
        [] => {
            let says = "the 101 comes without Sec-WebSocket-Accept";
            let came = "101 Switching Protocols, without Sec-WebSocket-Accept";
            return Verdict::wrong(Trouble::UpgradeStripped, check, says, evidence(came));
        }
        accepts => {
            let says = "the 101 comes with a wrong Sec-WebSocket-Accept";
            let came = format!("Sec-WebSocket-Accept: {}, not {}", accepts.join(", "), opening.accept);
            return Verdict::wrong(Trouble::UpgradeStripped, check, says, evidence(&came));
        }
    }
    match (&opening.first, check) {
        (Some(Ok(())), Check::Upgrade) => Verdict::ok(check, "a polling session gets its WebSocket"),
        (Some(Ok(())), _) => Verdict::ok(check, format!("opens, and brings {first}")),
        (Some(Err(came)), _) => {
            let says = format!("opens, but {first} does not come");
            Verdict::wrong(Trouble::Frames, check, says, evidence(&format!("101, then {came}")))
        }
        (None, _) => Verdict::wrong(Trouble::Frames, check, "breaks at once", exchange.lines()),
    }
}

/// Why there is no 101.
enum Refusal {
    /// The server does not speak WebSocket.
    NotOffered,
    /// The request has lost its `Upgrade`.
    NoUpgrade,
    /// The request has lost its key or version.
    NoKey,
    Other,
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let text = String::from_utf8_lossy(&answer.body).to_lowercase();
    let says = |words: &str| text.contains(words);
    let is_refused = answer.status == StatusCode::BAD_REQUEST;
    Some(if says("transport unknown") {
        Refusal::NotOffered
    } else if says("sec-websocket") {
        Refusal::NoKey
    } else if is_refused && (says("bad request") && says("\"code\""))
        || answer.status == StatusCode::UPGRADE_REQUIRED
    {
        // Engine.IO's answer to `transport=websocket` in a request that is no upgrade.
        Refusal::NoUpgrade
    } else {
        Refusal::Other
    })
}

/// What shows that a WebSocket carries frames, if it is one with sessions.
pub(super) const OPEN: &str = "the open packet";

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange, failed};
    use crate::doctor::facts::{Exchange, Failure};

    fn opening(exchange: Exchange, first: Option<Result<(), String>>) -> Opening {
        Opening { exchange, accept: "right".to_owned(), first }
    }

    fn judged(exchange: Exchange, first: Option<Result<(), String>>) -> Verdict {
        of(Check::WebSocket, &opening(exchange, first), true, OPEN)
    }

    fn switching(accepts: &[&str]) -> Exchange {
        let headers: Vec<_> = accepts.iter().map(|accept| ("sec-websocket-accept", *accept)).collect();
        exchange(answer(101, &headers, ""))
    }

    #[test]
    fn a_refused_upgrade_is_named_by_what_it_lost() {
        for (status, body, trouble) in [
            (400, r#"{"code":3,"message":"Bad request"}"#, Trouble::UpgradeBlocked),
            (426, "Upgrade Required", Trouble::UpgradeBlocked),
            (400, "Missing or invalid Sec-WebSocket-Key header", Trouble::UpgradeStripped),
            (400, "Missing or invalid Sec-WebSocket-Version header", Trouble::UpgradeStripped),
            (502, "<html>", Trouble::UpgradeBlocked),
            (200, "0{}", Trouble::UpgradeBlocked),
        ] {
            let verdict = judged(exchange(answer(status, &[], body)), None);
            assert_eq!(verdict.trouble, Some(trouble), "{body}");
        }
        let silent = judged(failed(Failure::Late(std::time::Duration::from_secs(5))), None);
        assert_eq!(silent.trouble, Some(Trouble::UpgradeBlocked));
        let unknown = exchange(answer(400, &[], r#"{"code":0,"message":"Transport unknown"}"#));
        assert_eq!(of(Check::WebSocket, &opening(unknown, None), false, OPEN).mark, Mark::Note);
    }

    #[test]
    fn a_101_is_a_websocket_only_with_the_right_accept_and_a_packet() {
        assert_eq!(judged(switching(&["right"]), Some(Ok(()))).mark, Mark::Ok);
        for accepts in [&[][..], &["wrong"], &["right", "right"]] {
            assert_eq!(judged(switching(accepts), None).trouble, Some(Trouble::UpgradeStripped));
        }
        let nothing = judged(switching(&["right"]), Some(Err("nothing within 5.0 s".to_owned())));
        assert_eq!(nothing.trouble, Some(Trouble::Frames));
    }
}
