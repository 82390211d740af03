//! A WebSocket of any server: whether it opens and carries frames, and whether it may be silent.

use http::StatusCode;

use super::verdict::{Check, Verdict};
use super::{headers, http2, websocket};
use crate::doctor::facts::{CLOSE_FRAME, Ended, Facts, Idle, Opening, seconds};
use crate::doctor::remedy::Trouble;

/// Judges everything that was seen of a WebSocket server.
pub(super) fn judge(facts: &Facts) -> Vec<Verdict> {
    let Some(opening) = &facts.web_socket else {
        return vec![Verdict::unseen(Check::WebSocket, "not seen")];
    };
    let mut all = vec![open(opening)];
    all.extend(facts.idle_socket.as_ref().map(idle));
    all.push(headers::clock(&facts.heads));
    all.push(http2::judge(facts.http2.as_ref()));
    all
}

fn open(opening: &Opening) -> Verdict {
    let status = opening.exchange.answer.as_ref().map(|answer| answer.status);
    if status == Some(StatusCode::NOT_FOUND) {
        let says = "its request is answered 404: no such path, or it came without Upgrade";
        return Verdict::wrong(Trouble::UpgradeBlocked, Check::WebSocket, says, opening.exchange.lines());
    }
    websocket::of(Check::WebSocket, opening, true, "the answer to a ping")
}

/// Judges a WebSocket on which the client said nothing, of whose heartbeat nothing is known.
fn idle(idle: &Idle) -> Verdict {
    let silent = seconds(idle.silent);
    match &idle.ended {
        Ended::Unborn(came) => Verdict::unseen(Check::IdleWebSocket, format!("not seen: {came}")),
        Ended::Beat => {
            let says = format!("the server breaks a silence within {silent}");
            Verdict::ok(Check::IdleWebSocket, says)
        }
        Ended::Still => {
            let says = format!("not cut in {silent}; proxies often cut after 60 s: --duration 65s");
            Verdict::note(Check::IdleWebSocket, says)
        }
        // A proxy that cuts says no such thing.
        Ended::Cut(came) if came.starts_with(CLOSE_FRAME) => {
            let says = format!("the server closes a silent WebSocket after {silent}, by {came}");
            Verdict::note(Check::IdleWebSocket, says)
        }
        Ended::Cut(came) => {
            let says = format!("a silent WebSocket is cut after {silent}");
            let evidence = vec![idle.asked.clone(), came.clone()];
            Verdict::wrong(Trouble::WebSocketTimeout, Check::IdleWebSocket, says, evidence)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    #[test]
    fn a_404_may_be_another_path_or_a_request_without_its_upgrade() {
        let of = |status| {
            let exchange = exchange(answer(status, &[], ""));
            let web_socket = Some(Opening { exchange, accept: "right".to_owned(), first: None });
            judge(&Facts { web_socket, ..Facts::default() }).remove(0)
        };
        for status in [404, 426, 502] {
            assert_eq!(of(status).trouble, Some(Trouble::UpgradeBlocked), "{status}");
        }
        assert!(of(404).says.contains("no such path"), "{}", of(404).says);
    }

    #[test]
    fn a_silence_that_is_cut_is_told_from_a_close_frame_and_from_one_that_lasts() {
        let of = |ended| {
            let (interval, silent) = (Duration::from_secs(20), Duration::from_secs(5));
            let verdict = idle(&Idle { asked: "GET /".to_owned(), interval, silent, ended });
            (verdict.mark, verdict.trouble)
        };
        let cut = |came: &str| Ended::Cut(came.to_owned());
        assert_eq!(of(cut("the end of the connection")), (Mark::Wrong, Some(Trouble::WebSocketTimeout)));
        assert_eq!(of(cut("a Close frame (4401)")), (Mark::Note, None));
        assert_eq!(of(Ended::Still), (Mark::Note, None));
        assert_eq!(of(Ended::Beat), (Mark::Ok, None));
    }
}
