//! Every way in which a token or a key may be wrong.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes a token without the library that reads it.
fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = base64(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

/// A key of an issuer.
enum Pair {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Rsa(RsaKeyPair),
}

impl Pair {
    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("a key is made"))
    }

    fn p256() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key is made"), "P-256")
    }

    fn p384() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key is made"), "P-384")
    }

    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key is made"))
    }

    /// Returns the public key, as DER or as a point.
    fn public(&self) -> &[u8] {
        match self {
            Self::Ed(pair) => pair.public_key().as_ref(),
            Self::Ec(pair, _) => pair.public_key().as_ref(),
            Self::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    fn jwk(&self, id: &str) -> Value {
        let public = self.public();
        match self {
            Self::Ed(_) => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64(public)}),
            Self::Ec(_, curve) => {
                let (x, y) = public[1..].split_at(public.len() / 2);
                json!({"kty": "EC", "crv": curve, "kid": id, "x": base64(x), "y": base64(y)})
            }
            // Two headers of four bytes and a zero stand before the modulus of 2,048 bits.
            Self::Rsa(_) => json!({"kty": "RSA", "kid": id, "n": base64(&public[9..265]), "e": "AQAB"}),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed(_) => "EdDSA",
            Self::Ec(_, "P-256") => "ES256",
            Self::Ec(..) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed(pair) => pair.sign(text).as_ref().to_vec(),
            Self::Ec(pair, _) => pair.sign(&SystemRandom::new(), text).expect("it signs").as_ref().to_vec(),
            Self::Rsa(pair) => sign_rsa(pair, &RSA_PKCS1_SHA256, text),
        }
    }

    fn issue(&self, id: Option<&str>, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm()});
        if let Some(id) = id {
            header["kid"] = id.into();
        }
        token(&header, claims, |text| self.sign(text))
    }
}

fn sign_rsa(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, text: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), text, &mut signature).expect("it signs");
    signature
}

fn keys(jwks: &[Value]) -> Keys {
    Keys::read(json!({"keys": jwks}).to_string().as_bytes()).expect("they are keys")
}

const NOW: u64 = 1_800_000_000;

fn judge(keys: &Keys, token: &str) -> Result<Duration, Invalid> {
    keys.judge(token, &Rules::default(), Duration::from_secs(NOW))
}

fn valid() -> Value {
    json!({"exp": NOW + 60})
}

#[test]
fn a_token_of_each_kind_of_key_is_valid_until_its_exp() {
    for pair in [Pair::ed(), Pair::p256(), Pair::p384(), Pair::rsa()] {
        let keys = keys(&[pair.jwk("a")]);
        for id in [Some("a"), None] {
            let token = pair.issue(id, &valid());
            assert_eq!(judge(&keys, &token), Ok(Duration::from_mins(1)), "{} {id:?}", pair.algorithm());
            let other = token[..token.len() - 4].to_owned() + "AAAA";
            let refused = if id.is_some() { Invalid::Signature } else { Invalid::UnknownKey };
            assert_eq!(judge(&keys, &other), Err(refused), "{} {id:?}", pair.algorithm());
        }
    }
}

#[test]
fn an_rsa_key_verifies_pss_too_unless_it_names_its_algorithm() {
    let pair = Pair::rsa();
    let Pair::Rsa(rsa) = &pair else { unreachable!() };
    let pss =
        token(&json!({"alg": "PS256", "kid": "a"}), &valid(), |text| sign_rsa(rsa, &RSA_PSS_SHA256, text));
    assert!(judge(&keys(&[pair.jwk("a")]), &pss).is_ok());
    let mut named = pair.jwk("a");
    named["alg"] = "RS256".into();
    assert_eq!(judge(&keys(&[named]), &pss), Err(Invalid::Signature));
}

#[test]
fn a_token_is_valid_within_its_times_give_or_take_the_leeway() {
    let pair = Pair::ed();
    let keys = keys(&[pair.jwk("a")]);
    let rules = Rules { leeway: Duration::from_secs(30), ..Rules::default() };
    let token = pair.issue(Some("a"), &json!({"exp": NOW + 60, "nbf": NOW}));
    let judge = |now| keys.judge(&token, &rules, Duration::from_secs(now));
    assert_eq!(judge(NOW - 31), Err(Invalid::Early));
    assert_eq!(judge(NOW - 30), Ok(Duration::from_mins(2)));
    assert_eq!(judge(NOW + 89), Ok(Duration::from_secs(1)), "a session ends with the leeway, too");
    assert_eq!(judge(NOW + 90), Err(Invalid::Expired));
    // An issuer may write fractions, and times that no session lives to see.
    let fine = pair.issue(Some("a"), &json!({"exp": 1e15 + 0.5}));
    assert_eq!(keys.judge(&fine, &rules, Duration::from_secs(NOW)), Ok(Duration::from_hours(24 * 365)));
    for exp in [json!("1900000000"), json!(null), json!([1])] {
        let token = pair.issue(Some("a"), &json!({"exp": exp}));
        let refused = keys.judge(&token, &rules, Duration::from_secs(NOW));
        assert!(matches!(refused, Err(Invalid::MissingClaim | Invalid::Malformed)), "{exp}");
    }
    let token = pair.issue(Some("a"), &json!({"exp": NOW + 60, "nbf": "soon"}));
    assert_eq!(keys.judge(&token, &rules, Duration::from_secs(NOW)), Err(Invalid::Malformed));
}

#[test]
fn an_algorithm_is_the_keys_never_the_tokens() {
    let pair = Pair::rsa();
    let keys = keys(&[pair.jwk("a")]);
    for header in [json!({"alg": "none", "kid": "a"}), json!({"alg": "none"}), json!({"kid": "a"}), json!([])]
    {
        assert_eq!(
            judge(&keys, &token(&header, &valid(), |_| Vec::new())),
            Err(Invalid::Malformed),
            "{header}"
        );
    }
    // The public key as a secret, which everybody has, in each form that a server may keep it in.
    let jwk = pair.jwk("a");
    for secret in [pair.public().to_vec(), jwk["n"].as_str().unwrap().into(), pair.public()[9..265].to_vec()]
    {
        let hmac =
            |text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text).as_ref().to_vec();
        for (id, refused) in [(json!("a"), Invalid::Signature), (Value::Null, Invalid::UnknownKey)] {
            let header = json!({"alg": "HS256", "kid": id});
            assert_eq!(judge(&keys, &token(&header, &valid(), hmac)), Err(refused), "{header}");
        }
    }
    // Another algorithm of the same family, or of another curve.
    let header = json!({"alg": "ES256", "kid": "a"});
    assert_eq!(judge(&keys, &token(&header, &valid(), |_| vec![0; 64])), Err(Invalid::Signature));
}

#[test]
fn a_secret_in_the_set_verifies_nothing() {
    let secret = b"0123456789abcdef0123456789abcdef";
    let oct = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": base64(secret)});
    let alone = json!({"keys": [oct]}).to_string();
    assert!(matches!(Keys::read(alone.as_bytes()), Err(NoKeys::Nothing)));
    let hmac = |text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec();
    let keys = keys(&[oct, Pair::ed().jwk("a")]);
    let forged = token(&json!({"alg": "HS256", "kid": "s"}), &valid(), hmac);
    assert_eq!(judge(&keys, &forged), Err(Invalid::UnknownKey));
}

#[test]
fn a_claim_that_is_asked_for_must_be_there() {
    let pair = Pair::ed();
    let keys = keys(&[pair.jwk("a")]);
    let rules = Rules {
        issuer: vec!["https://a.test/".to_owned()],
        audience: vec!["chat".to_owned(), "feed".to_owned()],
        leeway: Duration::ZERO,
    };
    let judge =
        |claims: Value| keys.judge(&pair.issue(Some("a"), &claims), &rules, Duration::from_secs(NOW)).err();
    let exp = NOW + 60;
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test/", "aud": "feed"})), None);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test/", "aud": ["x", "chat"]})), None);
    let missing = Some(Invalid::MissingClaim);
    assert_eq!(judge(json!({"exp": exp, "aud": "feed"})), missing);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test/"})), missing);
    assert_eq!(judge(json!({"iss": "https://a.test/", "aud": "feed"})), missing, "no exp");
    let issuer = Some(Invalid::Issuer);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://b.test/", "aud": "feed"})), issuer);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test", "aud": "feed"})), issuer);
    let audience = Some(Invalid::Audience);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test/", "aud": ["x"]})), audience);
    assert_eq!(judge(json!({"exp": exp, "iss": "https://a.test/", "aud": []})), audience);
    // RFC 7519, section 4.1.3: one that is meant for somebody is not for a proxy without a name.
    let named = pair.issue(Some("a"), &json!({"exp": exp, "aud": "feed"}));
    assert_eq!(keys.judge(&named, &Rules::default(), Duration::from_secs(NOW)), Err(Invalid::Audience));
}

#[test]
fn an_unknown_key_is_told_from_a_wrong_signature() {
    let (known, other) = (Pair::ed(), Pair::ed());
    let keys = keys(&[known.jwk("a")]);
    assert_eq!(judge(&keys, &other.issue(Some("b"), &valid())), Err(Invalid::UnknownKey));
    assert_eq!(judge(&keys, &other.issue(Some("a"), &valid())), Err(Invalid::Signature));
    assert_eq!(judge(&keys, &other.issue(None, &valid())), Err(Invalid::UnknownKey));
    let expired = json!({"exp": NOW - 1});
    assert_eq!(judge(&keys, &known.issue(None, &expired)), Err(Invalid::Expired));
    assert_eq!(judge(&keys, &other.issue(Some("b"), &expired)), Err(Invalid::UnknownKey));
}

#[test]
fn a_rotated_set_knows_the_new_keys_and_no_others() {
    let (old, new) = (Pair::p256(), Pair::ed());
    let tokens = [old.issue(Some("1"), &valid()), new.issue(Some("2"), &valid())];
    let known = |keys: &Keys| tokens.each_ref().map(|token| judge(keys, token).is_ok());
    assert_eq!(known(&keys(&[old.jwk("1")])), [true, false]);
    assert_eq!(known(&keys(&[old.jwk("1"), new.jwk("2")])), [true, true]);
    assert_eq!(known(&keys(&[new.jwk("2")])), [false, true]);
    // Two keys may have one name.
    assert_eq!(known(&keys(&[new.jwk("1"), old.jwk("1"), new.jwk("2")])), [true, true]);
}

#[test]
fn one_bad_key_among_good_ones_is_left_out() {
    let pair = Pair::ed();
    let with = |name: &str, value: Value| {
        let mut jwk = pair.jwk("bad");
        jwk[name] = value;
        jwk
    };
    let bad = [
        json!(null),
        json!("text"),
        json!({}),
        json!({"kty": "RSA", "kid": "bad"}),
        json!({"kty": "RSA", "kid": "bad", "n": "***", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-521", "kid": "bad", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "bad", "x": "AA", "y": "AA"}),
        json!({"kty": "AKP", "kid": "bad"}),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("ES256")),
        with("alg", json!(7)),
        with("crv", json!("X25519")),
    ];
    let all: Vec<_> = bad.into_iter().chain([pair.jwk("a")]).collect();
    let mixed = keys(&all);
    assert!(judge(&mixed, &pair.issue(Some("a"), &valid())).is_ok());
    assert_eq!(judge(&mixed, &pair.issue(Some("bad"), &valid())), Err(Invalid::UnknownKey));
    // A key of the wrong length is read, and verifies nothing.
    let short = keys(&[with("x", json!("AAAA"))]);
    assert_eq!(judge(&short, &pair.issue(Some("bad"), &valid())), Err(Invalid::Signature));
    for good in [with("use", json!("sig")), with("key_ops", json!(["verify"])), with("alg", json!("Ed25519"))]
    {
        assert!(judge(&keys(&[good]), &pair.issue(Some("bad"), &valid())).is_ok());
    }
}

#[test]
fn what_is_no_set_of_keys_is_refused() {
    for text in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>", &Pair::ed().jwk("a").to_string()] {
        assert!(matches!(Keys::read(text.as_bytes()), Err(NoKeys::NotASet)), "{text}");
    }
    assert!(matches!(Keys::read(br#"{"keys": []}"#), Err(NoKeys::Nothing)));
}

#[test]
fn what_is_no_token_is_malformed() {
    let pair = Pair::ed();
    let keys = keys(&[pair.jwk("a")]);
    let good = pair.issue(Some("a"), &valid());
    let parts: Vec<_> = good.split('.').collect();
    let three = |a: &str, b: &str, c: &str| format!("{a}.{b}.{c}");
    for text in [
        String::new(),
        "a".to_owned(),
        "..".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{}", parts[2]),
        three(parts[0], parts[1], "***"),
        three("***", parts[1], parts[2]),
        format!("{good} "),
    ] {
        assert!(judge(&keys, &text).is_err_and(|why| why != Invalid::Expired), "{text}");
    }
    assert_eq!(judge(&keys, &three(parts[0], &base64("{}"), parts[2])), Err(Invalid::Signature));
    // Extensions that must be understood.
    let critical = json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false});
    assert_eq!(judge(&keys, &token(&critical, &valid(), |text| pair.sign(text))), Err(Invalid::Malformed));
}
