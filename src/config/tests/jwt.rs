//! `[routes.jwt]`.

use super::*;
#[cfg(feature = "jwt")]
use crate::jwt::Rules;
use crate::service::JwtSettings;
#[cfg(feature = "jwt")]
use crate::service::{KeySettings, TokenFrom};

fn jwt(line: &str) -> Result<JwtSettings, String> {
    let text = GOOD.replacen("[[routes]]\n", &format!("[[routes]]\njwt = {line}\n"), 1);
    let config = parse(&text, &[]).map_err(|faults| faults.to_string())?;
    Ok(config.routes.into_iter().next().and_then(|route| route.jwt).expect("it is written"))
}

#[test]
#[cfg(feature = "jwt")]
fn tokens_have_keys_claims_and_a_place() {
    let read = jwt("{ jwks = 'https://a/keys' }").unwrap();
    assert_eq!(read.from, TokenFrom::Header);
    assert_eq!(read.rules, Rules { leeway: Duration::from_secs(30), ..Rules::default() });
    let KeySettings::Server(server) = &read.keys else { panic!("a URL is written") };
    assert_eq!((server.kind, server.host), (Kind::Http, Host::Upstream));
    let read = jwt(
        "{ jwks = '/etc/keys.json', issuer = 'i', audience = ['a', 'b'], from = 'query:access_token', leeway = 0 }",
    );
    let read = read.unwrap();
    assert_eq!(read.keys, KeySettings::File("/etc/keys.json".into()));
    assert_eq!(
        (&*read.rules.issuer, &*read.rules.audience),
        (&["i".to_owned()][..], &["a".into(), "b".into()][..])
    );
    assert_eq!((read.from, read.rules.leeway), (TokenFrom::Query("access_token".to_owned()), Duration::ZERO));
    assert_eq!(
        jwt("{ jwks = 'k', from = 'cookie:token' }").unwrap().from,
        TokenFrom::Cookie("token".to_owned())
    );
    for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"] {
        assert!(jwt(&format!("{{ jwks = '{url}' }}")).is_ok(), "{url}");
    }
}

#[test]
#[cfg(feature = "jwt")]
fn what_no_token_can_be_judged_by_is_a_fault() {
    for (line, said) in [
        ("{ issuer = 'i' }", "jwt.jwks"),
        ("{ jwks = 'http://a.test/' }", "a URL with https, or one of this host"),
        ("{ jwks = 'ws://127.0.0.1/' }", "http://127.0.0.1/"),
        ("{ jwks = 'https://me:secret@a/' }", "a URL without one"),
        ("{ jwks = '' }", "a file name"),
        ("{ jwks = 'k', tls = { ca = 'a.pem' } }", "with a file in jwks"),
        ("{ jwks = 'k', issuer = '' }", "a text that is not empty"),
        ("{ jwks = 'k', audience = [] }", "without this key none is required"),
        ("{ jwks = 'k', audience = ['a', 'a'] }", "each once"),
        ("{ jwks = 'k', from = 'Header' }", "header, query:NAME or cookie:NAME"),
        ("{ jwks = 'k', from = 'query:' }", "header, query:NAME or cookie:NAME"),
        ("{ jwks = 'k', from = 'cookie:a=b' }", "header, query:NAME or cookie:NAME"),
        ("{ jwks = 'k', leeway = '2h' }", "1h"),
        ("{ jwks = 'k', audiences = 'a' }", "audience"),
    ] {
        let faults = jwt(line).unwrap_err();
        assert!(faults.contains(said), "{said} is not in {faults}");
        assert!(!faults.contains("secret"), "{faults}");
    }
}

#[test]
#[cfg(not(feature = "jwt"))]
fn a_binary_without_the_feature_says_so() {
    assert!(jwt("{ jwks = 'k' }").unwrap_err().contains("built without the feature jwt"));
}
