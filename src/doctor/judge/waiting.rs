//! Whether what the server says comes at once, and whether a client may wait for it.

use std::time::Duration;

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Ended, Idle, Push, seconds};
use crate::doctor::remedy::Trouble;
use crate::units::duration_text;

/// Judges a poll that waited for something to happen.
pub(super) fn push(push: Option<&Push>, are_lost: bool) -> Verdict {
    let Some(Push { poll, post, waited }) = push else {
        return Verdict::unseen(Check::Push, "not seen");
    };
    if are_lost || poll.is_unknown_session() {
        return Verdict::behind(Check::Push);
    }
    if !post.is_success() {
        let says = "a request fails while a poll waits";
        return Verdict::wrong(Trouble::Refused, Check::Push, says, post.lines());
    }
    let mut evidence = vec![poll.asked.clone(), format!("{} while it waited: {}", post.asked, post.came())];
    evidence.push(format!("the poll: {}", poll.came()));
    let rest =
        poll.answer.as_ref().map_or(Duration::ZERO, |answer| poll.took.saturating_sub(answer.head_took));
    if poll.failure.is_none() && poll.is_success() && *waited < HELD_MIN {
        return Verdict::ok(Check::Push, format!("a waiting poll is answered in {}", seconds(*waited)));
    }
    if rest >= HELD_MIN {
        let says = format!("the body of a response comes {} after its headers", seconds(rest));
        return Verdict::wrong(Trouble::Buffering, Check::Push, says, evidence);
    }
    if poll.answer.is_some() && !poll.is_success() {
        let says = "a waiting poll is answered with an error";
        return Verdict::wrong(Trouble::Refused, Check::Push, says, evidence);
    }
    let says = if poll.failure.is_some() {
        "the response to a waiting poll never comes".to_owned()
    } else {
        format!("the response to a waiting poll comes {} late", seconds(*waited))
    };
    Verdict::wrong(Trouble::Buffering, Check::Push, says, evidence)
}

/// Judges a poll that waited for the heartbeat.
pub(super) fn poll(idle: Option<&Idle>, are_lost: bool) -> Verdict {
    let Some(idle) = idle else { return Verdict::unseen(Check::IdlePoll, "not seen") };
    let is_lost = |came: &str| are_lost && came.contains("Session ID unknown");
    match &idle.ended {
        Ended::Unborn(came) => Verdict::unseen(Check::IdlePoll, format!("not seen: {came}")),
        Ended::Cut(came) if is_lost(came) => Verdict::behind(Check::IdlePoll),
        Ended::Cut(came) => cut(Check::IdlePoll, Trouble::PollTimeout, "a waiting poll", idle, came),
        Ended::Beat => Verdict::ok(Check::IdlePoll, format!("a poll may wait {}", seconds(idle.silent))),
        Ended::Still => still(Check::IdlePoll, idle),
    }
}

/// Judges a WebSocket that waited for the heartbeat.
pub(super) fn web_socket(idle: &Idle) -> Verdict {
    match &idle.ended {
        Ended::Unborn(came) => Verdict::unseen(Check::IdleWebSocket, format!("not seen: {came}")),
        Ended::Cut(came) => {
            cut(Check::IdleWebSocket, Trouble::WebSocketTimeout, "a silent WebSocket", idle, came)
        }
        Ended::Beat => {
            let says = format!("a WebSocket may be silent for {}", seconds(idle.silent));
            Verdict::ok(Check::IdleWebSocket, says)
        }
        Ended::Still => still(Check::IdleWebSocket, idle),
    }
}

fn cut(check: Check, trouble: Trouble, what: &str, idle: &Idle, came: &str) -> Verdict {
    let interval = duration_text(idle.interval);
    let says = format!("{what} is cut after {}; the heartbeat comes after {interval}", seconds(idle.silent));
    Verdict::wrong(trouble, check, says, vec![idle.asked.clone(), came.to_owned()])
}

/// Nothing has come: either the heartbeat was not due, or it is held back.
fn still(check: Check, idle: &Idle) -> Verdict {
    let (silent, interval) = (seconds(idle.silent), duration_text(idle.interval));
    if idle.silent < idle.interval + LATE_MIN {
        let says = format!(
            "not cut in {silent}; watch longer with --duration {}",
            duration_text(Duration::from_secs((idle.interval + LATE_MIN).as_secs() + 1)),
        );
        return Verdict::note(check, says);
    }
    let says = format!("no heartbeat in {silent}, though it was due after {interval}");
    Verdict::wrong(Trouble::Buffering, check, says, vec![idle.asked.clone(), format!("nothing in {silent}")])
}

/// What nobody needs for a response on a network that works.
const HELD_MIN: Duration = Duration::from_secs(2);
/// How late a heartbeat may be.
const LATE_MIN: Duration = Duration::from_millis(2500);

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange, failed};
    use crate::doctor::facts::{Exchange, Failure};

    fn pushed(poll: Exchange, waited_ms: u64) -> Verdict {
        let post = exchange(answer(200, &[], "ok"));
        push(Some(&Push { poll, post, waited: Duration::from_millis(waited_ms) }), false)
    }

    #[test]
    fn a_response_that_is_held_back_is_told_from_one_that_comes() {
        let polled = || exchange(answer(200, &[], "6"));
        assert_eq!(pushed(polled(), 30).mark, Mark::Ok);
        assert_eq!(pushed(polled(), 4000).trouble, Some(Trouble::Buffering));
        assert_eq!(pushed(failed(Failure::Late(HELD_MIN)), 5000).trouble, Some(Trouble::Buffering));
        let in_two = Exchange { took: Duration::from_secs(4), ..polled() };
        let verdict = pushed(in_two, 4000);
        assert_eq!(verdict.trouble, Some(Trouble::Buffering));
        assert!(verdict.says.starts_with("the body"), "{verdict:?}");
        assert_eq!(pushed(exchange(answer(502, &[], "")), 30).trouble, Some(Trouble::Refused));
        let unknown = exchange(answer(400, &[], "Session ID unknown"));
        assert_eq!(pushed(unknown, 30).mark, Mark::Unseen);
    }

    fn idle(silent_ms: u64, ended: Ended) -> Idle {
        let interval = Duration::from_secs(25);
        Idle { asked: "GET /".to_owned(), interval, silent: Duration::from_millis(silent_ms), ended }
    }

    #[test]
    fn a_poll_that_is_cut_is_named_with_its_time() {
        let came = "504 Gateway Timeout, after 5.0 s".to_owned();
        let verdict = poll(Some(&idle(5004, Ended::Cut(came.clone()))), false);
        assert_eq!(verdict.trouble, Some(Trouble::PollTimeout));
        assert_eq!(verdict.says, "a waiting poll is cut after 5.0 s; the heartbeat comes after 25s");
        assert_eq!(verdict.evidence[1], came);
        let verdict = web_socket(&idle(5004, Ended::Cut(came)));
        assert_eq!(verdict.trouble, Some(Trouble::WebSocketTimeout));
    }

    #[test]
    fn silence_shorter_than_the_heartbeat_proves_little_and_longer_is_a_fault() {
        let verdict = poll(Some(&idle(20_000, Ended::Still)), false);
        assert_eq!(verdict.mark, Mark::Note);
        assert!(verdict.says.ends_with("--duration 28s"), "{}", verdict.says);
        assert_eq!(poll(Some(&idle(25_010, Ended::Beat)), false).mark, Mark::Ok);
        assert_eq!(poll(Some(&idle(28_000, Ended::Still)), false).trouble, Some(Trouble::Buffering));
    }

    #[test]
    fn a_poll_of_a_lost_session_says_nothing_of_timeouts() {
        let came = "400 Session ID unknown".to_owned();
        assert_eq!(poll(Some(&idle(3, Ended::Cut(came.clone()))), true).mark, Mark::Unseen);
        assert_eq!(poll(Some(&idle(3, Ended::Cut(came))), false).mark, Mark::Wrong);
    }
}
