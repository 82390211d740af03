//! Logins that belong to a connection: NTLM, Negotiate and Kerberos prove who the client is once, and everything that
//! comes over that connection is then hers (RFC 4559, section 4.2). So a backend connection on which one of them was
//! spoken serves nobody but the client's connection that it was spoken for.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use tokio::time::timeout;

use crate::hop;
use crate::upstream::pool::{Connection, Pool};

/// The backend connections that belong to one connection of a client, and end with it. There is one for each upstream
/// at most, since a client's connection asks one thing after another.
#[derive(Clone, Default)]
pub struct Pinned(Arc<Mutex<Vec<Held>>>);

/// A connection, and whose it would be if nobody had logged in.
type Held = (Arc<Pool>, Connection);

impl Pinned {
    /// Returns the connection to the upstream with this pool, if there is one that still works.
    pub(super) async fn take(&self, pool: &Arc<Pool>) -> Option<Connection> {
        let mut connection = {
            let mut pinned = self.lock();
            let index = pinned.iter().position(|(owner, _)| Arc::ptr_eq(owner, pool))?;
            pinned.swap_remove(index).1
        };
        // The end of the last request may still be on its way.
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

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&self.lock().len()).finish()
    }
}

/// Returns whether the headers of a request or of a response speak of a login that belongs to the connection. A word
/// too many only keeps a connection from being shared.
pub fn is_login(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|name| {
        hop::list(headers, name).any(|member| {
            // One line may list several challenges, and a scheme ends with a blank or with its member.
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
