//! What the facts mean. Pure: facts in, verdicts out.

mod certificate;
mod cookies;
mod cors;
mod headers;
mod http2;
mod longpoll;
mod payload;
mod plain;
mod sessions;
mod sockjs;
mod verdict;
mod versions;
mod waiting;
mod websocket;

#[cfg(test)]
pub(super) use self::verdict::Check;
pub(super) use self::verdict::{Mark, Verdict};
use super::facts::{Facts, Target};
use super::remedy::Trouble;
use crate::client_options::Dialect;

/// Judges everything that was seen at a target, in the order of a report. `origin` is that of clients' pages.
pub(super) fn judge(facts: &Facts, target: &Target, origin: Option<&str>) -> Vec<Verdict> {
    let mut all = match target.dialect {
        Dialect::EngineIo => engine_io(facts, target, origin),
        Dialect::Sockjs => sockjs::judge(facts),
        Dialect::Longpoll => longpoll::judge(facts),
        Dialect::Websocket => plain::judge(facts),
    };
    all.extend(facts.certificate.map(certificate::judge));
    all
}

fn engine_io(facts: &Facts, target: &Target, origin: Option<&str>) -> Vec<Verdict> {
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
    let needs_cookie = sessions::needs_cookie(&facts.tries);
    all.push(cors::judge(facts.cors.as_ref(), needs_cookie));
    let handshake = facts.handshakes.iter().find(|one| one.open.is_some());
    let answer = handshake.and_then(|handshake| handshake.exchange.answer.as_ref());
    all.extend(answer.map(|answer| cookies::judge(answer, target, origin, needs_cookie)));
    all.extend(headers::judge(facts));
    all.push(http2::judge(facts.http2.as_ref()));
    all
}
