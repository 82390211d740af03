//! Tokens that clients bring (JWT, RFC 7519), judged by the keys of who issues them. [`Keys`] is the type to read first.
//!
//! Only signatures of public keys count: a key decides by which algorithms it verifies, never the token. Time is passed
//! in.

#[cfg(feature = "jwt")]
mod jwk;
#[cfg(feature = "jwt")]
mod keys;
#[cfg(not(feature = "jwt"))]
#[path = "not_built.rs"]
mod keys;
#[cfg(test)]
#[cfg(feature = "jwt")]
mod tests;

use std::time::Duration;

pub use keys::Keys;

/// What a token must say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rules {
    /// Its issuers (`iss`); if empty, any that signs with one of the keys.
    pub issuer: Vec<String>,
    /// Its audiences (`aud`), one of which it must name; if empty, it must name none.
    pub audience: Vec<String>,
    /// How far the clocks of issuer and proxy may differ.
    pub leeway: Duration,
}

/// Why a token lets nobody in.
#[cfg_attr(not(feature = "jwt"), expect(dead_code, reason = "without keys nothing is judged"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    /// It cannot be read.
    #[error("the token is malformed")]
    Malformed,
    /// The request may have another, by which a backend could know the client.
    #[error("there is more than one token")]
    Several,
    /// No key is known by which it could be verified; there may be a new one.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// Its signature is wrong, or made by an algorithm that is not its key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is no longer valid.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    Early,
    /// Somebody else has issued it.
    #[error("the token has another issuer")]
    Issuer,
    /// It is meant for others.
    #[error("the token has another audience")]
    Audience,
    /// It lacks a claim that is required.
    #[error("the token lacks exp, or a claim that is required here")]
    MissingClaim,
}

/// Why a set of keys is useless.
#[cfg_attr(not(feature = "jwt"), expect(dead_code, reason = "without keys nothing is judged"))]
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// It is no set (RFC 7517, section 5).
    #[error("it is not a JWK set, a JSON object with a list \"keys\"")]
    NotASet,
    /// None of its keys is of use.
    #[error("none of its keys verifies signatures by RS, PS, ES or EdDSA")]
    Nothing,
    /// The binary cannot read keys.
    #[cfg(not(feature = "jwt"))]
    #[error("this binary was built without the feature jwt")]
    NotBuilt,
}

/// Returns whether the binary can judge tokens.
pub const fn is_built() -> bool {
    cfg!(feature = "jwt")
}
