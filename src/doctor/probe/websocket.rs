//! A WebSocket: the handshake byte for byte, since a proxy may change any of its headers, and the first packets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::client::{Ask, Client, Switched};
use super::session::{Session, query};
use crate::doctor::facts::{CLOSE_FRAME, Opening, seconds};
use crate::packet::Transport;
use crate::revision::Revision;

/// A WebSocket that is open.
#[derive(Debug)]
pub(super) struct Socket(WebSocketStream<Switched>);

/// What shows that frames pass in both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    /// The open packet of Engine.IO.
    OpenPacket,
    /// The Pong to a Ping (RFC 6455, section 5.5), which every WebSocket server sends, and no application learns of.
    Pong,
}

impl Socket {
    /// Asks for a WebSocket, of a session or for a new one.
    pub(super) async fn open(
        client: &Client,
        revision: Revision,
        session: Option<&Session>,
    ) -> (Opening, Option<Self>) {
        let secret = session.map(|session| ("sid", session.open.sid.as_str()));
        let ask = Ask::new(Method::GET, &query(revision, Transport::WebSocket), secret);
        Self::open_at(client, session.map_or(ask.clone(), |session| session.sign(ask))).await
    }

    /// Makes a request one for a WebSocket.
    pub(super) async fn open_at(client: &Client, ask: Ask) -> (Opening, Option<Self>) {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let ask = ask
            .with(CONNECTION, HeaderValue::from_static("Upgrade"))
            .with(UPGRADE, HeaderValue::from_static("websocket"))
            .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let ask = match HeaderValue::try_from(key) {
            Ok(key) => ask.with(SEC_WEBSOCKET_KEY, key),
            Err(_) => ask,
        };
        let (exchange, switched) = client.ask_to_switch(ask).await;
        let is_right = exchange
            .answer
            .as_ref()
            .is_some_and(|answer| answer.all(&SEC_WEBSOCKET_ACCEPT) == [accept.clone()]);
        let opening = Opening { exchange, accept, first: None };
        // A client fails a WebSocket whose key is not answered rightly (RFC 6455, section 4.1).
        let Some(switched) = switched.filter(|_| is_right) else { return (opening, None) };
        (opening, Some(Self::over(switched).await))
    }

    /// Speaks WebSocket over a connection that has been switched to it.
    pub(super) async fn over(switched: Switched) -> Self {
        Self(WebSocketStream::from_raw_socket(switched, Role::Client, Some(config())).await)
    }

    /// Sends a text.
    pub(super) async fn send(&mut self, text: &'static str) -> Result<(), String> {
        self.0.send(Message::from(text)).await.map_err(|error| error.to_string())
    }

    /// Waits for a text with this beginning; others are passed over.
    ///
    /// # Errors
    /// Says what came instead; `None` if nothing came in time.
    pub(super) async fn wait_for(
        &mut self,
        beginning: &str,
        patience: Duration,
    ) -> Result<String, Option<String>> {
        let found = async {
            loop {
                if let Message::Text(text) = self.next().await?
                    && text.starts_with(beginning)
                {
                    return Ok(text.as_str().to_owned());
                }
            }
        };
        timeout(patience, found).await.map_err(|_| None)?.map_err(Some)
    }

    /// Waits for a proof that frames pass.
    pub(super) async fn prove(&mut self, proof: Proof, patience: Duration) -> Result<(), String> {
        match proof {
            Proof::OpenPacket => self.expect("0", patience).await,
            Proof::Pong => self.ping(patience).await,
        }
    }

    /// Sends a Ping, and waits for its Pong.
    async fn ping(&mut self, patience: Duration) -> Result<(), String> {
        let answered = async {
            let ping = Message::Ping(Bytes::from_static(b"doctor"));
            self.0.send(ping).await.map_err(|error| error.to_string())?;
            // What the server says by itself may come before.
            while !matches!(self.next().await?, Message::Pong(_)) {}
            Ok(())
        };
        let late = || Err(format!("nothing within {}", seconds(patience)));
        timeout(patience, answered).await.unwrap_or_else(|_| late())
    }

    /// Returns the next frame.
    ///
    /// # Errors
    /// Says what came instead: a Close frame, or the end of the connection.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        match self.0.next().await {
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map(|frame| format!(" ({})", u16::from(frame.code)));
                Err(format!("{CLOSE_FRAME}{}", code.unwrap_or_default()))
            }
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the end of the connection".to_owned()),
        }
    }

    /// Expects a text, as a fact.
    pub(super) async fn expect(&mut self, beginning: &str, patience: Duration) -> Result<(), String> {
        self.text(beginning, patience).await.map(drop)
    }

    /// Expects a text, and returns it.
    pub(super) async fn text(&mut self, beginning: &str, patience: Duration) -> Result<String, String> {
        self.wait_for(beginning, patience)
            .await
            .map_err(|came| came.unwrap_or_else(|| format!("nothing within {}", seconds(patience))))
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            let _ = self.0.close(None).await;
            while let Some(Ok(_)) = self.0.next().await {}
        };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

fn config() -> WebSocketConfig {
    let config = WebSocketConfig::default().read_buffer_size(BUFFER_LEN).write_buffer_size(BUFFER_LEN);
    config.max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX))
}

const BUFFER_LEN: usize = 4096;
const MESSAGE_MAX: usize = 1 << 20;
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
