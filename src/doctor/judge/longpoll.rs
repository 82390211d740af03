//! longpoll: whether a session begins, is found again, and is answered while it waits.

use super::verdict::{Check, Verdict};
use super::{cors, headers, sessions, sockjs, waiting};
use crate::doctor::facts::{Answer, Ended, Exchange, Facts, Idle, seconds};
use crate::doctor::remedy::Trouble;
use crate::units::duration_text;

/// Judges everything that was seen of a route of longpoll.
pub(super) fn judge(facts: &Facts) -> Vec<Verdict> {
    let begun = facts.first.as_ref();
    if begun.and_then(Exchange::whole).and_then(Answer::session).is_none() {
        let says = "no POST begins a session as one of longpoll does";
        let evidence = begun.map(Exchange::lines).unwrap_or_default();
        return vec![Verdict::wrong(Trouble::Handshake, Check::Versions, says, evidence)];
    }
    let sessions = sessions::judge(&facts.tries);
    let are_lost = sessions.trouble == Some(Trouble::Stickiness);
    let mut all = vec![Verdict::ok(Check::Versions, "longpoll"), sessions];
    all.push(waiting::push(facts.push.as_ref(), are_lost));
    all.push(if are_lost { Verdict::behind(Check::Streaming) } else { sockjs::streaming(&facts.streams) });
    all.push(poll(facts.idle_poll.as_ref(), are_lost));
    all.push(cors::judge(facts.cors.as_ref(), false));
    all.extend(headers::judge(facts));
    all
}

/// Judges a poll that asked to wait, and got no message.
fn poll(idle: Option<&Idle>, are_lost: bool) -> Verdict {
    match idle {
        Some(Idle { ended: Ended::Cut(came), .. }) if are_lost && came.contains("no such session") => {
            Verdict::behind(Check::IdlePoll)
        }
        Some(Idle { asked, interval, silent, ended: Ended::Cut(came) }) => {
            let (silent, interval) = (seconds(*silent), duration_text(*interval));
            let says = format!("a waiting poll is cut after {silent}; it asked to wait for {interval}");
            Verdict::wrong(Trouble::PollTimeout, Check::IdlePoll, says, vec![asked.clone(), came.clone()])
        }
        other => waiting::poll(other, are_lost),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    #[test]
    fn what_is_no_longpoll_is_named() {
        let of = |first| judge(&Facts { first: Some(exchange(first)), ..Facts::default() });
        for first in [answer(404, &[], ""), answer(200, &[], "hello"), answer(201, &[], "{}")] {
            let verdicts = of(first);
            assert_eq!((verdicts.len(), verdicts[0].trouble), (1, Some(Trouble::Handshake)));
        }
        let begun = of(answer(201, &[], r#"{"session":"a","url":"/feed/a","after":0}"#));
        assert_eq!((begun[0].mark, &*begun[0].says), (Mark::Ok, "longpoll"));
    }

    #[test]
    fn a_poll_that_is_cut_is_told_from_one_of_a_lost_session() {
        let of = |came: &str, are_lost| {
            let (interval, silent) = (Duration::from_secs(25), Duration::from_millis(5_010));
            let idle =
                Idle { asked: "GET /".to_owned(), interval, silent, ended: Ended::Cut(came.to_owned()) };
            poll(Some(&idle), are_lost)
        };
        let cut = of("504 Gateway Timeout", true);
        assert_eq!(cut.trouble, Some(Trouble::PollTimeout));
        assert_eq!(cut.says, "a waiting poll is cut after 5.0 s; it asked to wait for 25s");
        assert_eq!(of(r#"404 Not Found {"error":"no such session"}"#, true).mark, Mark::Unseen);
    }
}
