//! What the facts mean. Pure: facts in, verdicts out.

mod headers;
mod payload;
mod sessions;
mod sockjs;
mod verdict;
mod versions;
mod waiting;
mod websocket;

#[cfg(test)]
pub(super) use self::verdict::Check;
pub(super) use self::verdict::{Mark, Verdict};
use super::facts::Facts;
use super::remedy::Trouble;

/// Judges everything that was seen, in the order of a report.
pub(super) fn judge(facts: &Facts) -> Vec<Verdict> {
    if let Some(info) = &facts.info {
        let mut all = sockjs::judge(info, facts);
        all.extend(headers_of(facts));
        return all;
    }
    let versions = versions::judge(&facts.handshakes);
    if versions.mark == Mark::Wrong {
        return vec![versions];
    }
    let sessions = sessions::judge(&facts.tries);
    let are_lost = sessions.trouble == Some(Trouble::Stickiness);
    let mut all = vec![versions, sessions];
    all.push(waiting::push(facts.push.as_ref(), are_lost));
    all.push(waiting::poll(facts.idle_poll.as_ref(), are_lost));
    all.extend(websocket::judge(facts, are_lost));
    if let Some(idle) = &facts.idle_socket {
        all.push(waiting::web_socket(idle));
    }
    all.push(payload::judge(&facts.posts));
    all.extend(headers_of(facts));
    all
}

fn headers_of(facts: &Facts) -> [Verdict; 3] {
    let handshakes: Vec<_> = facts.handshakes.iter().chain(&facts.twins).collect();
    [
        headers::caching(&facts.heads, &handshakes),
        headers::compression(&facts.heads, facts.plain.as_ref()),
        headers::clock(&facts.heads),
    ]
}
