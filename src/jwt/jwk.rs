//! One key of a set (JWK, RFC 7517), and by which algorithms it verifies.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// A public key.
#[derive(Debug)]
pub(super) struct Jwk {
    /// Its name, which tokens show.
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    /// The algorithms of its kind, or the one that it names.
    pub(super) algorithms: Vec<Algorithm>,
}

impl Jwk {
    /// Reads a key; returns `None` if it verifies no signatures, or only in a way that is not safe here. A secret
    /// (`oct`) does not belong where a set of public keys does.
    pub(super) fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        // For encryption, RFC 7517, section 4.2.
        if text("use").is_some_and(|what| what != "sig") {
            return None;
        }
        let verifies = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
        if jwk.get("key_ops").and_then(Value::as_array).is_some_and(|ops| !verifies(ops)) {
            return None;
        }
        // The curve decides, which the library does not look at.
        let (key, kind): (_, &[_]) = match (text("kty")?, text("crv")) {
            ("RSA", None) => (DecodingKey::from_rsa_components(text("n")?, text("e")?), &RSA),
            ("EC", Some("P-256")) => {
                (DecodingKey::from_ec_components(text("x")?, text("y")?), &[Algorithm::ES256])
            }
            ("EC", Some("P-384")) => {
                (DecodingKey::from_ec_components(text("x")?, text("y")?), &[Algorithm::ES384])
            }
            ("OKP", Some("Ed25519")) => (DecodingKey::from_ed_components(text("x")?), &[Algorithm::EdDSA]),
            _ => return None,
        };
        let named = |one: &&Algorithm| jwk.get("alg").is_none_or(|name| is_named(name, **one));
        let algorithms: Vec<_> = kind.iter().filter(named).copied().collect();
        let id = text("kid").map(str::to_owned);
        (!algorithms.is_empty()).then_some(Self { id, key: key.ok()?, algorithms })
    }
}

/// Returns whether a name is this algorithm's. RFC 9864 has a new one for `EdDSA` with this curve.
fn is_named(name: &Value, algorithm: Algorithm) -> bool {
    name.as_str().is_some_and(|name| {
        name.parse() == Ok(algorithm) || (name == "Ed25519" && algorithm == Algorithm::EdDSA)
    })
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
