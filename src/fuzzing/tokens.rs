//! Tokens that clients bring, and the keys by which they are judged.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::jwt::{Invalid, Keys, Rules};

/// A set of keys, and behind a line `---` a token on each line.
pub(super) fn jwt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (set, tokens) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let keys = match Keys::read(set.as_bytes()) {
        Ok(keys) => keys,
        Err(why) => return assert!(!why.to_string().is_empty(), "it says what is wrong"),
    };
    let equals = equals(set);
    for token in tokens.lines() {
        let [anybody, somebody] = [Rules::default(), strict()].map(|rules| {
            let judged = keys.judge(token, &rules, NOW);
            for equal in &equals {
                assert_eq!(equal.judge(token, &rules, NOW).ok(), judged.ok());
            }
            match judged {
                Ok(left) => assert_sound(&keys, token, &rules, left),
                Err(why) => assert!(!why.to_string().is_empty(), "it says what is wrong"),
            }
            judged.is_ok()
        });
        assert!(!(anybody && somebody), "one that names an audience is not for a proxy without a name");
    }
}

/// Returns rules that ask for every claim.
fn strict() -> Rules {
    Rules {
        issuer: vec!["test".to_owned()],
        audience: vec!["chat".to_owned(), "feed".to_owned()],
        leeway: Duration::from_secs(30),
    }
}

/// Returns sets that let the same tokens in: one in another order, and one with a secret, which verifies nothing.
fn equals(set: &str) -> Vec<Keys> {
    let Ok(Value::Object(mut set)) = serde_json::from_str(set) else { return Vec::new() };
    let Some(Value::Array(mut keys)) = set.remove("keys") else { return Vec::new() };
    // Of more, some are left out.
    if keys.len() > 60 {
        return Vec::new();
    }
    keys.reverse();
    let turned = keys.clone();
    keys.insert(0, json!({"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0"}));
    [turned, keys]
        .map(|keys| Keys::read(json!({ "keys": keys }).to_string().as_bytes()).expect("keys"))
        .into()
}

/// Checks a token that lets its client in.
fn assert_sound(keys: &Keys, token: &str, rules: &Rules, left: Duration) {
    let judge = |token: &str, later| keys.judge(token, rules, NOW + later);
    if left < YEAR {
        assert_eq!(judge(token, left + Duration::from_secs(1)), Err(Invalid::Expired));
    }
    // A shorter time may be lost as seconds are rounded.
    if left > Duration::from_millis(1) {
        assert!(judge(token, left / 2).is_ok(), "until then it is valid");
    }
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let header = URL_SAFE_NO_PAD.decode(parts[0]).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert!(header.get("crit").is_none(), "nobody understands it");
    let algorithm = header["alg"].as_str().expect("an algorithm");
    assert!(!algorithm.starts_with("HS") && algorithm != "none", "{algorithm}");
    for changed in 0..3 {
        let mut parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
        let (at, other) = (parts[changed].len() / 2, &mut parts[changed]);
        let letter = if other[at..].starts_with('A') { "B" } else { "A" };
        other.replace_range(at..=at, letter);
        assert!(judge(&parts.join("."), Duration::ZERO).is_err(), "part {changed} was changed");
    }
}

/// The time of the committed tokens, since 1970.
const NOW: Duration = Duration::from_hours(500_000);
/// Longer than a session lives.
const YEAR: Duration = Duration::from_hours(24 * 365);

#[cfg(test)]
#[cfg(feature = "jwt")]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_tokens_reach_every_verdict() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/jwt");
        let mut verdicts = BTreeSet::new();
        for file in fs::read_dir(corpus).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            let Some((set, tokens)) = text.split_once("\n---\n") else { continue };
            let Ok(keys) = Keys::read(set.as_bytes()) else { continue };
            for (token, rules) in
                tokens.lines().flat_map(|token| [(token, Rules::default()), (token, strict())])
            {
                let judged = keys.judge(token, &rules, NOW);
                verdicts.insert(judged.map_or_else(|why| format!("{why:?}"), |_| "Valid".to_owned()));
            }
        }
        let all = [
            "Audience",
            "Early",
            "Expired",
            "Issuer",
            "Malformed",
            "MissingClaim",
            "Signature",
            "UnknownKey",
            "Valid",
        ];
        assert_eq!(verdicts.into_iter().collect::<Vec<_>>(), all);
    }
}
