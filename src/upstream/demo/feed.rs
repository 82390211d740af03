//! The embedded WebSocket server: an echo and a chat.
//!
//! A text message that begins with `chat:` or `cursor:` goes to every client, its sender included; `restart:` ends the
//! connection as if this were a process that restarts. Any other message comes back unchanged.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::serve::Serve;
use super::site::Site;

/// Makes the server.
pub(super) fn build(site: Site) -> Serve {
    let (chat, _) = broadcast::channel(CHAT_LEN);
    Box::new(move |pipe| Box::pin(serve(pipe, site, chat.clone())))
}

/// Serves one connection: HTTP, until it is upgraded to a WebSocket.
async fn serve(pipe: DuplexStream, site: Site, chat: Sender<Utf8Bytes>) {
    let upgrading = Mutex::new(None);
    let service = service_fn(|request| ready(Ok::<_, Infallible>(answer(request, site, &upgrading))));
    let connection = http1::Builder::new()
        .title_case_headers(true)
        // The server that passes the response on dates it.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(pipe), service);
    // An error means that the client's end of the pipe is gone, which notices by itself.
    if connection.with_upgrades().await.is_err() {
        return;
    }
    let upgrading = upgrading.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(upgrading) = upgrading
        && let Ok(upgraded) = upgrading.await
    {
        let stream = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        // A client that disconnects needs no more responses.
        let _ = converse(&mut socket, &chat).await;
    }
}

/// Answers a request, and keeps the upgrade of a WebSocket request.
fn answer(
    mut request: Request<Incoming>,
    site: Site,
    upgrading: &Mutex<Option<OnUpgrade>>,
) -> Response<Full<Bytes>> {
    let Ok(response) = create_response_with_body(&request, Full::default) else {
        return site.answer(request.method(), request.uri().path(), request.headers());
    };
    let upgrade = hyper::upgrade::on(&mut request);
    upgrading.lock().unwrap_or_else(PoisonError::into_inner).replace(upgrade);
    response
}

/// Echoes messages and passes the chat on until the client closes.
async fn converse(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
    chat: &Sender<Utf8Bytes>,
) -> Result<(), Error> {
    let mut heard: Receiver<Utf8Bytes> = chat.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                // Without a goodbye.
                Some(Message::Text(text)) if text.starts_with(RESTART) => return Ok(()),
                Some(Message::Text(text)) if FOR_ALL.iter().any(|begin| text.starts_with(begin)) => {
                    // At least this client receives it.
                    let _ = chat.send(text);
                }
                Some(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await?,
                // tungstenite answers these by itself.
                Some(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {}
                None => return Ok(()),
            },
            text = heard.recv() => match text {
                Ok(text) => socket.send(Message::Text(text)).await?,
                // It has missed messages: it is disconnected rather than given a chat with gaps.
                Err(_) => return socket.close(Some(TOO_SLOW)).await,
            },
        }
    }
}

/// The beginnings of messages to everyone.
const FOR_ALL: [&str; 2] = ["chat:", "cursor:"];
/// The beginning of a message that ends the connection.
const RESTART: &str = "restart:";
/// How many chat messages may wait for a slow client.
const CHAT_LEN: usize = 1024;
const TOO_SLOW: CloseFrame =
    CloseFrame { code: CloseCode::Again, reason: Utf8Bytes::from_static("too slow for the chat") };
