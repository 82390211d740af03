//! Connection-based logins: NTLM, Negotiate and Kerberos authenticate the client once, and every later request on that
//! connection belongs to that client (RFC 4559, section 4.2). So a backend connection on which one of them was used
//! serves only the client connection that used it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use tokio::time::timeout;

use crate::hop;
use crate::upstream::pool::{Connection, Pool};

/// The backend connections that belong to one client connection, and close with it. There is at most one per upstream,
/// since a client connection sends one request after another.
#[derive(Clone, Default)]
pub struct Pinned(Arc<Mutex<Vec<Held>>>);

/// A connection, and its pool if nobody had logged in.
type Held = (Arc<Pool>, Connection);

impl Pinned {
    /// Returns the connection that belongs to this pool's upstream, if one still works.
    pub(super) async fn take(&self, pool: &Arc<Pool>) -> Option<Connection> {
        let mut connection = {
            let mut pinned = self.lock();
            let index = pinned.iter().position(|(owner, _)| Arc::ptr_eq(owner, pool))?;
            pinned.swap_remove(index).1
        };
        // The end of the last request may still be in transit.
        match timeout(connection.patience.limit(), connection.sender.ready()).await {
            Ok(Ok(())) => Some(connection),
            Ok(Err(_)) => None,
            Err(_) => {
                connection.life.cancel();
                None
            }
        }
    }

    pub(super) fn keep(&self, pool: &Arc<Pool>, connection: Connection) {
        self.lock().push((Arc::clone(pool), connection));
    }

    /// Returns whether it belongs to the same client connection.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&self.lock().len()).finish()
    }
}

/// Returns whether the headers of a request or a response contain a connection-based login. A false positive only keeps
/// a connection from being shared.
pub fn is_login(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|name| {
        hop::list(headers, name).any(|member| {
            // One line may list several challenges; a scheme ends at a blank or with its member.
            let scheme = member.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            SCHEMES.iter().any(|one| scheme.eq_ignore_ascii_case(one.as_bytes()))
        })
    })
}

const HEADERS: [HeaderName; 6] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    WWW_AUTHENTICATE,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("authentication-info"),
    HeaderName::from_static("proxy-authentication-info"),
];
const SCHEMES: [&str; 3] = ["ntlm", "negotiate", "kerberos"];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_login_of_the_connection_is_known_by_its_scheme() {
        let login = |name: &HeaderName, value: &'static str| {
            is_login(&HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]))
        };
        for name in &HEADERS {
            for value in [
                "NTLM",
                "ntlm TlRM",
                "Negotiate",
                "NEGOTIATE YII=",
                "Kerberos",
                "Basic realm=\"a\", Negotiate",
            ] {
                assert!(login(name, value), "{name}: {value}");
            }
            for value in ["Basic eA==", "Bearer ntlm", "Digest username=\"negotiate\"", "NTLMv3", ""] {
                assert!(!login(name, value), "{name}: {value}");
            }
        }
        assert!(!login(&HeaderName::from_static("x-other"), "NTLM"));
    }
}
