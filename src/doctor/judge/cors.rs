//! Whether pages of another origin may connect, as a browser judges it (Fetch, "CORS protocol").

use http::HeaderName;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
};

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Answer, Cors, Exchange};
use crate::doctor::remedy::Trouble;

/// Judges a handshake and a preflight of a page elsewhere. `needs_cookie`: its requests must bring credentials.
pub(super) fn judge(cors: Option<&Cors>, needs_cookie: bool) -> Verdict {
    let Some(cors) = cors else { return Verdict::unseen(Check::Cors, "not seen") };
    let Some(answer) = &cors.handshake.answer else {
        let says = "a handshake of a page of another origin is not answered";
        return Verdict::wrong(Trouble::Cors, Check::Cors, says, lines(cors, &cors.handshake));
    };
    let wrong = |trouble, says: &str| {
        let mut evidence = lines(cors, &cors.handshake);
        evidence.push(shown(answer));
        Verdict::wrong(trouble, Check::Cors, says, evidence)
    };
    let origins = list(answer, &ACCESS_CONTROL_ALLOW_ORIGIN);
    let has_credentials = list(answer, &ACCESS_CONTROL_ALLOW_CREDENTIALS) == ["true"];
    let is_any = origins == ["*"];
    if origins.len() > 1 {
        return wrong(Trouble::CorsTwice, "Access-Control-Allow-Origin comes twice");
    }
    if is_any && has_credentials {
        return wrong(Trouble::Cors, "every origin is allowed with credentials, which browsers refuse");
    }
    let is_allowed = is_any || origins == [cors.origin.clone()];
    if !cors.is_asked {
        return if is_allowed && answer.status.is_success() {
            Verdict::ok(Check::Cors, "pages of any origin may connect")
        } else {
            Verdict::note(Check::Cors, "not every page may connect; see --origin")
        };
    }
    if !answer.status.is_success() {
        return wrong(Trouble::Cors, &format!("pages of {} are refused", cors.origin));
    }
    if !is_allowed {
        return wrong(Trouble::Cors, &format!("pages of {} are not allowed to connect", cors.origin));
    }
    if needs_cookie && (is_any || !has_credentials) {
        return wrong(Trouble::Cors, "sessions need a cookie, and credentials are not allowed");
    }
    if let Some(fault) = refused(cors) {
        let says = "a page may connect, but not with headers of its own or binary POSTs";
        if cors.has_headers {
            return Verdict::wrong(
                Trouble::Cors,
                Check::Cors,
                says,
                vec![cors.preflight.asked.clone(), fault],
            );
        }
        return Verdict::note(Check::Cors, says);
    }
    let with = if has_credentials { ", with credentials" } else { "" };
    Verdict::ok(Check::Cors, format!("pages of {} may connect{with}", cors.origin))
}

/// Returns why the preflight allows nothing.
fn refused(cors: &Cors) -> Option<String> {
    let Some(answer) = cors.preflight.whole() else { return Some(cors.preflight.came()) };
    let has = |name: &HeaderName, wanted: &str| {
        list(answer, name).iter().any(|value| value == "*" || value.eq_ignore_ascii_case(wanted))
    };
    let origins = list(answer, &ACCESS_CONTROL_ALLOW_ORIGIN);
    let is_fine = answer.status.is_success()
        && (origins == ["*"] || origins == [cors.origin.clone()])
        // POST needs no permission.
        && (has(&ACCESS_CONTROL_ALLOW_METHODS, "POST") || !answer.headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS))
        && has(&ACCESS_CONTROL_ALLOW_HEADERS, "content-type");
    if is_fine { None } else { Some(format!("{} {}", answer.status, shown(answer))) }
}

fn list(answer: &Answer, name: &HeaderName) -> Vec<String> {
    let all = answer.all(name);
    all.iter().flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
}

fn lines(cors: &Cors, exchange: &Exchange) -> Vec<String> {
    vec![format!("{}, Origin: {}", exchange.asked, cors.origin), exchange.came()]
}

fn shown(answer: &Answer) -> String {
    let names = [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS];
    let lines = names.iter().flat_map(|name| {
        answer.all(name).into_iter().map(move |value| format!("{name}: {}", value.escape_debug()))
    });
    let lines = lines.collect::<Vec<_>>().join("; ");
    if lines.is_empty() { "no Access-Control headers".to_owned() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    const ORIGIN: &str = "https://app.example.org";
    const ALLOWS: (&str, &str) = ("access-control-allow-origin", ORIGIN);
    const ANY: (&str, &str) = ("access-control-allow-origin", "*");
    const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");

    fn cors(headers: &[(&'static str, &str)], is_asked: bool) -> Cors {
        let allowed = [ALLOWS, ("access-control-allow-headers", "Content-Type"), CREDENTIALS];
        Cors {
            origin: ORIGIN.to_owned(),
            is_asked,
            has_headers: false,
            handshake: exchange(answer(200, headers, "")),
            preflight: exchange(answer(204, &allowed, "")),
        }
    }

    #[test]
    fn what_every_browser_refuses_is_wrong_for_every_origin() {
        for is_asked in [false, true] {
            let judged =
                |headers: &[(&'static str, &str)]| judge(Some(&cors(headers, is_asked)), false).trouble;
            assert_eq!(judged(&[ALLOWS, ALLOWS]), Some(Trouble::CorsTwice));
            assert_eq!(
                judged(&[("access-control-allow-origin", "https://a, https://b")]),
                Some(Trouble::CorsTwice)
            );
            assert_eq!(judged(&[ANY, CREDENTIALS]), Some(Trouble::Cors));
            assert_eq!(judged(&[ALLOWS, CREDENTIALS]), None);
        }
    }

    #[test]
    fn an_origin_that_is_asked_for_must_be_allowed() {
        assert_eq!(judge(Some(&cors(&[], false)), false).mark, Mark::Note);
        assert_eq!(judge(Some(&cors(&[], true)), false).trouble, Some(Trouble::Cors));
        let other = ("access-control-allow-origin", "https://other");
        assert_eq!(judge(Some(&cors(&[other], true)), false).trouble, Some(Trouble::Cors));
        assert_eq!(judge(Some(&cors(&[ANY], true)), false).mark, Mark::Ok);
        // The sticky cookie is a credential.
        assert_eq!(judge(Some(&cors(&[ANY], true)), true).trouble, Some(Trouble::Cors));
        assert_eq!(judge(Some(&cors(&[ALLOWS], true)), true).trouble, Some(Trouble::Cors));
        assert_eq!(judge(Some(&cors(&[ALLOWS, CREDENTIALS], true)), true).mark, Mark::Ok);
    }

    #[test]
    fn a_preflight_matters_to_clients_with_headers_of_their_own() {
        let refused = exchange(answer(400, &[], r#"{"code":2,"message":"Bad handshake method"}"#));
        let bare = Cors { preflight: refused.clone(), ..cors(&[ALLOWS], true) };
        assert_eq!(judge(Some(&bare), false).mark, Mark::Note);
        let own = Cors { has_headers: true, ..bare };
        assert_eq!(judge(Some(&own), false).trouble, Some(Trouble::Cors));
    }
}
