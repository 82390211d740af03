//! SockJS: what the server says of itself, and whether responses that go on come as they are written.

use super::verdict::{Check, Verdict};
use super::websocket::OPEN;
use super::{headers, sessions, waiting, websocket};
use crate::doctor::facts::{Exchange, Facts, Failure, seconds};
use crate::doctor::remedy::Trouble;

/// Judges everything that was seen of a server of SockJS.
pub(super) fn judge(facts: &Facts) -> Vec<Verdict> {
    let info = facts.first.as_ref();
    let Some(answer) = info.and_then(Exchange::whole).filter(|answer| answer.is_sockjs_info()) else {
        let says = "no /info is answered as SockJS does";
        let evidence = info.map(Exchange::lines).unwrap_or_default();
        return vec![Verdict::wrong(Trouble::Handshake, Check::Versions, says, evidence)];
    };
    let text: String = String::from_utf8_lossy(&answer.body).split_whitespace().collect();
    let offers = !text.contains("\"websocket\":false");
    let sessions = sessions::judge(&facts.tries);
    let are_lost = sessions.trouble == Some(Trouble::Stickiness);
    let says = if offers { "SockJS, with WebSocket" } else { "SockJS, without WebSocket" };
    let mut all = vec![Verdict::ok(Check::Versions, says), sessions, streaming(&facts.streams)];
    all.push(waiting::poll(facts.idle_poll.as_ref(), are_lost));
    if let Some(opening) = &facts.web_socket {
        all.push(websocket::of(Check::WebSocket, opening, offers, OPEN));
    }
    all.extend(facts.idle_socket.as_ref().map(waiting::web_socket));
    all.extend(headers::judge(facts));
    all
}

/// Judges responses that go on, each up to its first frame or line.
pub(super) fn streaming(streams: &[Exchange]) -> Verdict {
    let Some(held) = streams.iter().find(|stream| !stream.is_success()) else {
        return match streams {
            [] => Verdict::unseen(Check::Streaming, "not seen"),
            _ => Verdict::ok(Check::Streaming, "responses that go on come as they are written"),
        };
    };
    let is_refused = held.answer.as_ref().is_some_and(|answer| !answer.status.is_success());
    if held.answer.is_some() && !is_refused && held.failure == Some(Failure::HungUp) {
        let says = format!("a response that goes on is cut after {}", seconds(held.took));
        return Verdict::wrong(Trouble::PollTimeout, Check::Streaming, says, held.lines());
    }
    if is_refused || !held.is_late() {
        let says = "a response that goes on is refused or broken";
        return Verdict::wrong(Trouble::Refused, Check::Streaming, says, held.lines());
    }
    let says = match &held.answer {
        None => "a response that goes on is held back, with its headers",
        Some(answer) if answer.body.is_empty() => "the body of a response that goes on is held back",
        Some(_) => "a part of a response that goes on is held back",
    };
    Verdict::wrong(Trouble::Buffering, Check::Streaming, says, held.lines())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange, failed};

    #[test]
    fn a_stream_that_is_held_back_is_told_from_one_that_is_refused() {
        let good = || exchange(answer(200, &[], "hhh\no\n"));
        assert_eq!(streaming(&[good(), good()]).mark, Mark::Ok);
        assert_eq!(streaming(&[]).mark, Mark::Unseen);
        let late = || Failure::Late(Duration::from_secs(5));
        let head_alone = Exchange { failure: Some(late()), ..exchange(answer(200, &[], "")) };
        for held in [failed(late()), head_alone] {
            assert_eq!(streaming(&[good(), held]).trouble, Some(Trouble::Buffering));
        }
        let cut = Exchange { failure: Some(Failure::HungUp), ..good() };
        assert_eq!(streaming(&[cut]).trouble, Some(Trouble::PollTimeout));
        for broken in [failed(Failure::HungUp), exchange(answer(404, &[], ""))] {
            assert_eq!(streaming(&[broken]).trouble, Some(Trouble::Refused));
        }
    }

    #[test]
    fn what_is_no_sockjs_is_named() {
        let of = |first| judge(&Facts { first: Some(exchange(first)), ..Facts::default() });
        assert_eq!(of(answer(404, &[], ""))[0].trouble, Some(Trouble::Handshake));
        let info = r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":1}"#;
        let verdicts = of(answer(200, &[], info));
        assert_eq!((verdicts[0].mark, &*verdicts[0].says), (Mark::Ok, "SockJS, with WebSocket"));
    }
}
