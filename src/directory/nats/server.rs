//! A server of NATS, and how to connect to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_nats::{ConnectOptions, Event, ServerAddr};
use tokio::time::Duration;

use super::super::engine::{Answering, Connection, Down, Engine, Member};
use super::super::settings::{EngineError, Settings};
use super::{NatsConnection, down, lock};
use crate::codec::urlencoded::decode_percent;
use crate::sid::Node;
use crate::tls::Identity;

/// A server of NATS.
pub(in super::super) struct Nats {
    server: ServerAddr,
    /// Where it is, without a password.
    address: String,
    user: Option<User>,
    ca: Option<PathBuf>,
    identity: Option<Identity>,
    name: String,
    me: Node,
    advertise: String,
}

/// What stands before the host in a URL.
#[derive(Clone, PartialEq, Eq)]
enum User {
    Named { name: String, password: String },
    Token(String),
}

impl Nats {
    /// Prepares to connect.
    pub(in super::super) fn new(settings: &Settings, me: Node, address: &str) -> Result<Self, EngineError> {
        let wrong = |error: &dyn fmt::Display| EngineError::Settings(error.to_string());
        let server: ServerAddr = settings.url.parse().map_err(|error: std::io::Error| wrong(&error))?;
        if server.port() == 0 || server.host().is_empty() {
            return Err(wrong(&"the URL names no server"));
        }
        Ok(Self {
            address: format!("{}://{}:{}", server.scheme(), server.host(), server.port()),
            user: User::of(&server),
            server,
            ca: settings.ca.clone(),
            identity: settings.identity.clone(),
            name: settings.name.clone(),
            me,
            advertise: address.to_owned(),
        })
    }

    async fn open(&self) -> Result<NatsConnection, Down> {
        let complaint = Arc::default();
        let options = self.options(Arc::clone(&complaint));
        let client = options.connect(&self.server).await.map_err(down)?;
        NatsConnection::begin(client, &self.name, self.me, &self.advertise, complaint).await
    }

    /// Returns how to connect once. The directory connects again.
    fn options(&self, complaint: Arc<Mutex<Option<String>>>) -> ConnectOptions {
        let options = ConnectOptions::new()
            .name("polliwog")
            .no_echo()
            .connection_timeout(CONNECT_MAX)
            .max_reconnects(1)
            .subscription_capacity(UNANSWERED_MAX)
            .ignore_discovered_servers()
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    *lock(&complaint) = Some(error.to_string());
                }
                async {}
            });
        let options = match self.user.clone() {
            None => options,
            Some(User::Named { name, password }) => options.user_and_password(name, password),
            Some(User::Token(token)) => options.token(token),
        };
        let options = match &self.ca {
            None => options,
            Some(ca) => options.add_root_certificates(ca.clone()),
        };
        match self.identity.clone() {
            None => options,
            Some(Identity { certificate, key }) => options.add_client_certificate(certificate, key),
        }
    }
}

impl Engine for Nats {
    fn connect(&self) -> Answering<'_, Arc<dyn Connection>> {
        Box::pin(async move {
            let connection = self.open().await?;
            connection.say_hello().await?;
            Ok(Arc::new(connection) as Arc<dyn Connection>)
        })
    }

    fn look(&self) -> Answering<'_, Vec<Member>> {
        Box::pin(async move { self.open().await?.look().await })
    }

    fn address(&self) -> &str {
        &self.address
    }
}

impl User {
    /// Returns the user of a URL. The client itself reads none there.
    fn of(server: &ServerAddr) -> Option<Self> {
        let name = decoded(server.username()?);
        Some(match server.password() {
            None => Self::Token(name),
            Some(password) => Self::Named { name, password: decoded(password) },
        })
    }
}

/// Returns a text that a URL holds.
fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&decode_percent(text.as_bytes())).into_owned()
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nats").field(&self.address).finish()
    }
}

/// Less than the directory waits.
const CONNECT_MAX: Duration = Duration::from_millis(800);
/// How many questions about an id may wait to be answered.
const UNANSWERED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_token_stand_before_the_host() {
        let user = |url: &str| match User::of(&url.parse().unwrap()) {
            None => "none".to_owned(),
            Some(User::Named { name, password }) => format!("{name}, {password}"),
            Some(User::Token(token)) => format!("token {token}"),
        };
        assert_eq!(user("nats://a:4222"), "none");
        assert_eq!(user("tls://me:pass%40w%C3%B6rd@a"), "me, pass@wörd");
        assert_eq!(user("nats://s3cret%25%2+@a"), "token s3cret%%2+");
    }
}
