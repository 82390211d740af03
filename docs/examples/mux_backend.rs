//! A backend that has all clients of a proxy on one WebSocket (`docs/mux.md`), with credit: it sends each message back.
//!
//! ```sh
//! cargo run --example mux_backend 127.0.0.1:3000
//! ```
//!
//! In the proxy's configuration, its upstream is `kind = "mux"` with `url = "ws://127.0.0.1:3000/"`. What a session's user would
//! do stands in `serve`; everything else is the protocol's, and the library's [`Line`] knows it.

#![expect(clippy::print_stderr, reason = "it tells those who run it what it does")]
#![expect(clippy::disallowed_methods, reason = "nothing waits for its tasks: it is ended by a signal")]
#![expect(clippy::result_large_err, reason = "the handshake's callback is defined so")]

use std::error::Error;

use futures_util::{SinkExt as _, StreamExt as _};
use polliwog::mux::{Accepted, Budget, Event, Hello, Line, Notice, Profile, Side};
use polliwog::packet::{Message, Text};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = converse(stream).await {
                eprintln!("a proxy's connection broke: {error}");
            }
        });
    }
}

/// Speaks with one proxy, until it hangs up.
async fn converse(stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept_hdr_async(stream, |_: &Request, mut response: Response| {
        let chosen = Profile::Binary.subprotocol().parse().expect("it is a token");
        response.headers_mut().insert("sec-websocket-protocol", chosen);
        Ok(response)
    })
    .await?;
    // Without `resume`, sessions end with their connection; and no budget limits what waits of all of them together.
    let hello = Hello { credit: 256 << 10, ..Hello::default() };
    let mut line = Line::new(Side::Backend, hello, Budget::default());
    line.connect();
    while let Some(frame) = socket.next().await {
        let written = match frame? {
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Text(text) => Message::Text(Text::lossy(text.into())),
            // Pings are answered by the WebSocket.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_) => continue,
        };
        line.handle(Profile::Binary.decode(written)?)?;
        serve(&mut line);
        // Whatever is to be said now: answers, and what was taken of each session.
        while let Some(frame) = line.poll().or_else(|| line.acks()) {
            if let Message::Binary(bytes) = Profile::Binary.encode(&frame) {
                socket.feed(Frame::Binary(bytes)).await?;
            }
        }
        socket.flush().await?;
    }
    Ok(())
}

/// Lets every client in, and sends back what it sends, as far as it has room.
fn serve(line: &mut Line) {
    while let Some(event) = line.event() {
        match event {
            Event::Asked(id, open) => {
                eprintln!("{} comes by {} for {}", open.client, open.transport, open.path);
                line.accept(id, Accepted::default());
            }
            Event::Readable(id) | Event::Writable(id) => {
                // What is not taken stays with the proxy once the session's credit is used up.
                while line.poll_room(id)
                    && let Some(notice) = line.take(id)
                {
                    match notice {
                        Notice::Message(message) => line.send(id, message),
                        Notice::Closed(closing) => {
                            eprintln!("a client is gone: {:?} {:?}", closing.code, closing.reason.as_str());
                            break;
                        }
                    }
                }
            }
            Event::Drain(seconds) => eprintln!("the proxy stops within {seconds} s"),
            // The last three are for proxies.
            Event::Hello
            | Event::Transport(..)
            | Event::Answered(..)
            | Event::Unanswered(..)
            | Event::Unsent(_) => {}
        }
    }
}
