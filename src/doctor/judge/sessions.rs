//! Whether each connection reaches the server that has the session.

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Cookies, Try};
use crate::doctor::remedy::Trouble;

/// Judges the requests of sessions, each on a new connection.
pub(super) fn judge(tries: &[Try]) -> Verdict {
    let kept: Vec<&Try> = tries.iter().filter(|one| one.cookies != Cookies::LeftOut).collect();
    let unknown = |all: &[&Try]| all.iter().filter(|one| one.exchange.is_unknown_session()).count();
    if let lost @ 1.. = unknown(&kept) {
        let says = format!("{lost} of {} requests reached another server", kept.len());
        let example = kept.iter().find(|one| one.exchange.is_unknown_session());
        let evidence = example.map(|one| one.exchange.lines()).unwrap_or_default();
        return Verdict::wrong(Trouble::Stickiness, Check::Sessions, says, evidence);
    }
    if let Some(failed) = kept.iter().find(|one| !one.exchange.is_success()) {
        let says = "a request of a session fails";
        return Verdict::wrong(Trouble::Refused, Check::Sessions, says, failed.exchange.lines());
    }
    let bare: Vec<&Try> = tries.iter().filter(|one| one.cookies == Cookies::LeftOut).collect();
    match (kept.len(), unknown(&bare)) {
        (0, _) => Verdict::unseen(Check::Sessions, "not seen"),
        (_, 1..) => Verdict::note(Check::Sessions, "found again by a cookie: clients must send it"),
        (count, 0) => Verdict::ok(Check::Sessions, format!("found again on {count} other connections")),
    }
}

/// Returns whether sessions are found by the cookies of their handshake alone.
pub(super) fn needs_cookie(tries: &[Try]) -> bool {
    let are_lost = |left_out| {
        let mut all = tries.iter().filter(|one| (one.cookies == Cookies::LeftOut) == left_out);
        all.any(|one| one.exchange.is_unknown_session())
    };
    are_lost(true) && !are_lost(false)
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    fn tries(cookies: Cookies, statuses: &[u16]) -> Vec<Try> {
        let body = |status| if status == 400 { r#"{"code":1,"message":"Session ID unknown"}"# } else { "ok" };
        let made = |status| Try { exchange: exchange(answer(status, &[], body(status))), cookies };
        statuses.iter().copied().map(made).collect()
    }

    #[test]
    fn one_request_without_its_session_is_enough() {
        let verdict = judge(&tries(Cookies::None, &[200, 400, 200, 400]));
        assert_eq!(verdict.trouble, Some(Trouble::Stickiness));
        assert_eq!(verdict.says, "2 of 4 requests reached another server");
        assert!(verdict.evidence[1].contains("Session ID unknown"), "{verdict:?}");
        assert_eq!(judge(&tries(Cookies::None, &[200; 4])).mark, Mark::Ok);
        assert_eq!(judge(&[]).mark, Mark::Unseen);
    }

    #[test]
    fn a_session_that_needs_its_cookie_is_no_fault() {
        let mut both = tries(Cookies::Kept, &[200; 4]);
        both.extend(tries(Cookies::LeftOut, &[400, 200]));
        assert_eq!((judge(&both).mark, needs_cookie(&both)), (Mark::Note, true));
        both.extend(tries(Cookies::Kept, &[400]));
        assert_eq!(judge(&both).trouble, Some(Trouble::Stickiness));
        let mut same = tries(Cookies::Kept, &[200; 4]);
        same.extend(tries(Cookies::LeftOut, &[200; 4]));
        assert_eq!((judge(&same).mark, needs_cookie(&same)), (Mark::Ok, false));
    }

    #[test]
    fn another_refusal_is_another_trouble() {
        assert_eq!(judge(&tries(Cookies::None, &[200, 403])).trouble, Some(Trouble::Refused));
    }
}
