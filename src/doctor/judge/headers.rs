//! What the headers of all responses show: caches, compression, and a clock that jumps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderName;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, DATE};

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Exchange, Facts, Handshake, Head, Packing};
use crate::doctor::remedy::Trouble;

/// Judges the headers of all responses.
pub(super) fn judge(facts: &Facts) -> [Verdict; 3] {
    let handshakes: Vec<_> = facts.handshakes.iter().chain(&facts.twins).collect();
    [caching(&facts.heads, &handshakes), compression(&facts.heads, facts.plain.as_ref()), clock(&facts.heads)]
}

/// Judges whether a cache answers, or may.
fn caching(heads: &[Head], handshakes: &[&Handshake]) -> Verdict {
    let sid = |one: &Handshake| one.open.as_ref().map(|(_, open)| open.sid.clone());
    let is_told_twice = |(at, one): (usize, &&Handshake)| {
        sid(one).is_some() && handshakes[..at].iter().any(|earlier| sid(earlier) == sid(one))
    };
    if handshakes.iter().enumerate().any(is_told_twice) {
        let says = "two handshakes are answered with the same session";
        let evidence = handshakes.last().map(|one| one.exchange.lines()).unwrap_or_default();
        return Verdict::wrong(Trouble::Cached, Check::Caching, says, evidence);
    }
    let of_session =
        || heads.iter().filter(|head| head.headers.get(CACHE_CONTROL).is_some() || is_cached(head));
    if let Some(head) = of_session().find(|head| is_cached(head) || may_be_cached(head)) {
        let says = if is_cached(head) { "a response comes from a cache" } else { "responses may be cached" };
        let names = [AGE, X_CACHE, CF_CACHE_STATUS, X_CACHE_STATUS, CACHE_CONTROL];
        let evidence = [head.asked.clone(), shown(head, &names)].to_vec();
        return Verdict::wrong(Trouble::Cached, Check::Caching, says, evidence);
    }
    Verdict::ok(Check::Caching, "no response comes from a cache")
}

/// Judges whether responses are compressed as they say, and only if that is allowed.
fn compression(heads: &[Head], plain: Option<&Exchange>) -> Verdict {
    let wrong = |says: &str, head: &Head| {
        let evidence = vec![head.asked.clone(), shown(head, &[CONTENT_ENCODING])];
        Verdict::wrong(Trouble::Compression, Check::Compression, says, evidence)
    };
    let encodings = |head: &Head| {
        let all: Vec<String> = values(head, &CONTENT_ENCODING);
        all.iter().flat_map(|value| value.split(',')).filter(|value| value.trim() != "identity").count()
    };
    if let Some(head) = heads.iter().find(|head| encodings(head) > 1 || head.packing == Packing::Again) {
        return wrong("a response is compressed twice, or does not say that it is", head);
    }
    if let Some(head) = heads.iter().find(|head| head.packing == Packing::Wrong) {
        return wrong("a response is not compressed as it says", head);
    }
    let unasked = plain.and_then(|exchange| exchange.answer.as_ref());
    if let Some(value) = unasked.and_then(|answer| answer.headers.get(CONTENT_ENCODING))
        && value != "identity"
    {
        let says = "a response is compressed for a client that does not allow it";
        let came = format!("Content-Encoding: {}", String::from_utf8_lossy(value.as_bytes()));
        let evidence = vec!["Accept-Encoding: identity".to_owned(), came];
        return Verdict::wrong(Trouble::Compression, Check::Compression, says, evidence);
    }
    match heads.iter().filter(|head| encodings(head) == 1).count() {
        0 => Verdict::ok(Check::Compression, "short responses are not compressed"),
        count => Verdict::ok(Check::Compression, format!("{count} responses are compressed, as they say")),
    }
}

/// Judges the clocks behind the responses, against each other and against this machine's.
pub(super) fn clock(heads: &[Head]) -> Verdict {
    let ahead = |head: &Head| {
        let date = httpdate::parse_http_date(&values(head, &DATE).first()?.clone()).ok()?;
        Some(since_epoch(date) - since_epoch(head.at))
    };
    let mut all: Vec<(i64, &Head)> = heads.iter().filter_map(|head| Some((ahead(head)?, head))).collect();
    all.sort_by_key(|(ahead, _)| *ahead);
    let (Some((least, slow)), Some((most, fast))) = (all.first(), all.last()) else {
        return Verdict::note(Check::Clock, "responses have no Date");
    };
    let evidence = || [slow, fast].map(|head| format!("{}: {}", head.asked, shown(head, &[DATE]))).to_vec();
    if most - least > JUMP_MAX {
        let says = format!("the server's clock jumps by {} s from response to response", most - least);
        return Verdict::wrong(Trouble::Clock, Check::Clock, says, evidence());
    }
    let middle = all[all.len() / 2].0;
    if middle.abs() <= SKEW_MAX {
        return Verdict::ok(Check::Clock, "runs, and agrees with this machine's");
    }
    let direction = if middle > 0 { "ahead of" } else { "behind" };
    let skew = Duration::from_secs(middle.unsigned_abs());
    Verdict::note(Check::Clock, format!("{} s {direction} this machine's", skew.as_secs()))
}

/// Returns whether a cache says that it has answered.
fn is_cached(head: &Head) -> bool {
    let is_hit =
        |name: &HeaderName| values(head, name).iter().any(|value| value.to_ascii_uppercase().contains("HIT"));
    values(head, &AGE).iter().any(|age| age.trim().parse::<u64>().is_ok_and(|age| age > 0))
        || [X_CACHE, CF_CACHE_STATUS, X_CACHE_STATUS].iter().any(is_hit)
}

/// Returns whether a response allows caches to keep it.
fn may_be_cached(head: &Head) -> bool {
    let all = values(head, &CACHE_CONTROL).join(",").to_ascii_lowercase();
    let directives: Vec<&str> = all.split(',').map(str::trim).collect();
    let is_kept = |directive: &&str| {
        let age = directive.strip_prefix("max-age=").or_else(|| directive.strip_prefix("s-maxage="));
        **directive == *"public" || age.and_then(|age| age.parse::<u64>().ok()).is_some_and(|age| age > 0)
    };
    directives.iter().any(is_kept) && !directives.iter().any(|one| matches!(*one, "no-store" | "no-cache"))
}

fn values(head: &Head, name: &HeaderName) -> Vec<String> {
    let all = head.headers.get_all(name).iter();
    all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Returns some headers, as far as there are any.
fn shown(head: &Head, names: &[HeaderName]) -> String {
    let lines = names.iter().flat_map(|name| {
        values(head, name).into_iter().map(move |value| format!("{name}: {}", value.escape_debug()))
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn since_epoch(time: SystemTime) -> i64 {
    // A time before 1970 is as good as 1970: it is far away.
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2))
}

/// Seconds between two clocks that nobody notices; a busy machine reads a response late.
const JUMP_MAX: i64 = 5;
/// Seconds after which tokens and certificates may fail.
const SKEW_MAX: i64 = 60;
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_CACHE_STATUS: HeaderName = HeaderName::from_static("x-cache-status");
const CF_CACHE_STATUS: HeaderName = HeaderName::from_static("cf-cache-status");

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::doctor::facts::tests::{answer, exchange};

    const NOON: u64 = 1_795_867_200;

    fn head(headers: &[(&'static str, &str)], packing: Packing, seconds: u64) -> Head {
        let headers = answer(200, headers, "").headers;
        let at = UNIX_EPOCH + Duration::from_secs(NOON + seconds);
        Head { asked: "GET /".to_owned(), headers, packing, at }
    }

    fn handshake(sid: &str) -> Handshake {
        let body = format!(r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":1,"pingTimeout":1}}"#);
        let answer = answer(200, &[], &body);
        let open = answer.open();
        Handshake { exchange: exchange(answer), open }
    }

    #[test]
    fn a_cache_is_known_by_what_it_says_and_by_what_it_does() {
        let judged = |headers: &[(&'static str, &str)]| caching(&[head(headers, Packing::Right, 0)], &[]);
        for headers in [
            ("age", "12"),
            ("x-cache", "Hit from cloudfront"),
            ("x-cache-status", "HIT"),
            ("cf-cache-status", "HIT"),
            ("cache-control", "public"),
            ("cache-control", "max-age=600"),
        ] {
            assert_eq!(judged(&[headers]).trouble, Some(Trouble::Cached), "{headers:?}");
        }
        for headers in [
            ("age", "0"),
            ("x-cache", "Miss from cloudfront"),
            ("cache-control", "no-store"),
            ("cache-control", "no-store, max-age=600"),
            ("cache-control", "max-age=0"),
            ("etag", "\"1\""),
        ] {
            assert_eq!(judged(&[headers]).mark, Mark::Ok, "{headers:?}");
        }
        let (a, b) = (handshake("a"), handshake("b"));
        assert_eq!(caching(&[], &[&a, &b]).mark, Mark::Ok);
        assert_eq!(caching(&[], &[&a, &b, &a]).trouble, Some(Trouble::Cached));
    }

    #[test]
    fn a_response_is_compressed_once_and_only_if_that_is_allowed() {
        let judged =
            |headers: &[(&'static str, &str)], packing| compression(&[head(headers, packing, 0)], None);
        let gzip = ("content-encoding", "gzip");
        assert_eq!(judged(&[gzip], Packing::Right).mark, Mark::Ok);
        assert_eq!(judged(&[], Packing::Right).mark, Mark::Ok);
        for (headers, packing) in [
            (&[gzip, gzip][..], Packing::Right),
            (&[("content-encoding", "gzip, gzip")], Packing::Right),
            (&[gzip], Packing::Again),
            (&[], Packing::Again),
            (&[gzip], Packing::Wrong),
        ] {
            assert_eq!(judged(headers, packing).trouble, Some(Trouble::Compression), "{headers:?}");
        }
        let unasked = exchange(answer(200, &[gzip], ""));
        assert_eq!(compression(&[], Some(&unasked)).trouble, Some(Trouble::Compression));
    }

    #[test]
    fn a_clock_that_jumps_is_told_from_one_that_is_wrong() {
        let judged = |pairs: &[(u64, &str)]| {
            let heads: Vec<Head> = pairs
                .iter()
                .map(|(at, date)| {
                    head(&[("date", &format!("Sat, 28 Nov 2026 {date} GMT"))], Packing::Right, *at)
                })
                .collect();
            clock(&heads)
        };
        assert_eq!(judged(&[(0, "12:00:00"), (20, "12:00:20"), (21, "12:00:20")]).mark, Mark::Ok);
        let verdict = judged(&[(0, "12:00:00"), (1, "12:01:31"), (2, "12:00:02")]);
        assert_eq!(verdict.trouble, Some(Trouble::Clock));
        assert!(verdict.says.contains(" 90 s "), "{}", verdict.says);
        let verdict = judged(&[(0, "12:05:00"), (1, "12:05:01")]);
        assert_eq!((verdict.mark, &*verdict.says), (Mark::Note, "300 s ahead of this machine's"));
        assert_eq!(judged(&[]).mark, Mark::Note);
    }
}
