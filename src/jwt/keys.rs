//! A set of keys, and what it says of a token.

use std::time::Duration;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::jwk::Jwk;
use super::{Invalid, NoKeys, Rules};

/// The public keys of an issuer.
#[derive(Debug)]
pub struct Keys(Vec<Jwk>);

impl Keys {
    /// Reads a JWK set (RFC 7517, section 5). A key that is of no use here, or cannot be read, is left out.
    ///
    /// # Errors
    /// It is no set, or none of its keys is of use.
    pub fn read(json: &[u8]) -> Result<Self, NoKeys> {
        let set: Value = serde_json::from_slice(json).map_err(|_| NoKeys::NotASet)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(NoKeys::NotASet)?;
        let keys: Vec<_> = keys.iter().filter_map(Jwk::read).take(KEYS_MAX).collect();
        if keys.is_empty() { Err(NoKeys::Nothing) } else { Ok(Self(keys)) }
    }

    /// Judges a token at a time since the Unix epoch; returns how much longer it is valid, the leeway included.
    ///
    /// # Errors
    /// It lets nobody in.
    pub fn judge(&self, token: &str, rules: &Rules, now: Duration) -> Result<Duration, Invalid> {
        let header = decode_header(token).map_err(|_| Invalid::Malformed)?;
        // Extensions that must be understood (RFC 7515, section 4.1.11), of which the library understands none.
        if header.crit.is_some() {
            return Err(Invalid::Malformed);
        }
        let mut why = Invalid::UnknownKey;
        for key in self.0.iter().filter(|key| header.kid.is_none() || header.kid == key.id) {
            if !key.algorithms.contains(&header.alg) {
                if header.kid.is_some() {
                    why = Invalid::Signature;
                }
                continue;
            }
            match decode::<Map<String, Value>>(token, &key.key, &validation(key, rules)) {
                Ok(data) => return left(&data.claims, rules.leeway, now),
                Err(error) => {
                    let refusal = refusal(&error);
                    // Another key may have signed it, perhaps one that is not known yet.
                    if refusal != Invalid::Signature || header.kid.is_some() {
                        why = refusal;
                    }
                }
            }
        }
        Err(why)
    }
}

/// Returns what the library has to look at: everything but the time, for which it has a clock of its own.
fn validation(key: &Jwk, rules: &Rules) -> Validation {
    let mut validation = Validation::new(key.algorithms[0]);
    validation.algorithms.clone_from(&key.algorithms);
    validation.validate_exp = false;
    // The library looks at a claim only where there is one.
    let mut required = vec!["exp"];
    if !rules.issuer.is_empty() {
        validation.set_issuer(&rules.issuer);
        required.push("iss");
    }
    if !rules.audience.is_empty() {
        validation.set_audience(&rules.audience);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// Returns how much longer a token with these claims is valid.
fn left(claims: &Map<String, Value>, leeway: Duration, now: Duration) -> Result<Duration, Invalid> {
    let seconds =
        |name: &str| claims.get(name).map(|claim| claim.as_f64().ok_or(Invalid::Malformed)).transpose();
    let (now, leeway) = (now.as_secs_f64(), leeway.as_secs_f64());
    if seconds("nbf")?.is_some_and(|from| from > now + leeway) {
        return Err(Invalid::Early);
    }
    let until = seconds("exp")?.ok_or(Invalid::MissingClaim)? + leeway;
    if until <= now {
        return Err(Invalid::Expired);
    }
    Ok(Duration::from_secs_f64((until - now).min(LEFT_MAX.as_secs_f64())))
}

fn refusal(error: &Error) -> Invalid {
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's, which may get more variants")]
    match error.kind() {
        ErrorKind::InvalidIssuer => Invalid::Issuer,
        ErrorKind::InvalidAudience => Invalid::Audience,
        ErrorKind::MissingRequiredClaim(_) => Invalid::MissingClaim,
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidKeyFormat
        | ErrorKind::InvalidEcdsaKey
        | ErrorKind::InvalidEddsaKey
        | ErrorKind::InvalidRsaKey(_) => Invalid::Signature,
        _ => Invalid::Malformed,
    }
}

/// More than any issuer has; a token that names no key is tried with each.
const KEYS_MAX: usize = 64;
/// Longer than a session lives.
const LEFT_MAX: Duration = Duration::from_hours(24 * 365);
