//! Whether something in between takes less than the server.

use super::verdict::{Check, Verdict};
use crate::doctor::facts::Sized;
use crate::doctor::remedy::Trouble;
use crate::units::size_text;

/// Judges POSTs, the largest first, until one is accepted.
pub(super) fn judge(posts: &[Sized]) -> Verdict {
    let Some(first) = posts.first() else { return Verdict::unseen(Check::Payload, "not seen") };
    if first.exchange.is_success() {
        return Verdict::ok(Check::Payload, format!("a POST of {} passes", size_text(first.size)));
    }
    if first.exchange.is_unknown_session() {
        return Verdict::behind(Check::Payload);
    }
    let passed = posts.iter().find(|post| post.exchange.is_success());
    let what = match &first.exchange.answer {
        Some(answer) => format!("is answered {}", answer.status.as_u16()),
        None => "is not answered".to_owned(),
    };
    let says = match passed {
        Some(passed) => {
            format!("a POST of {} {what}, one of {} passes", size_text(first.size), size_text(passed.size))
        }
        None => format!("a POST of {} {what}", size_text(first.size)),
    };
    Verdict::wrong(Trouble::PayloadLimit, Check::Payload, says, first.exchange.lines())
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::Failure;
    use crate::doctor::facts::tests::{answer, exchange, failed};

    fn post(size: usize, status: u16, body: &str) -> Sized {
        Sized { size, exchange: exchange(answer(status, &[], body)) }
    }

    #[test]
    fn a_limit_below_the_servers_is_named_with_what_passes() {
        assert_eq!(judge(&[post(1_000_000, 200, "ok")]).mark, Mark::Ok);
        let verdict = judge(&[post(1_000_000, 413, ""), post(250_000, 413, ""), post(62_500, 200, "ok")]);
        assert_eq!(verdict.trouble, Some(Trouble::PayloadLimit));
        assert_eq!(verdict.says, "a POST of 1MB is answered 413, one of 62500B passes");
        let verdict = judge(&[Sized { size: 1_000_000, exchange: failed(Failure::HungUp) }]);
        assert_eq!(verdict.says, "a POST of 1MB is not answered");
        assert_eq!(judge(&[post(1000, 400, "Session ID unknown")]).mark, Mark::Unseen);
        assert_eq!(judge(&[]).mark, Mark::Unseen);
    }
}
