//! The embedded Socket.IO server.
//!
//! It answers `echo` with its own arguments, as an acknowledgement if the client asked for one, and relays `chat` and
//! `cursor` to everyone. After `restart` the client's connection ends, as if this were a process that restarts.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::extract::{AckSender, Data, HttpExtension, SocketRef};
use socketioxide::handler::{ConnectHandler as _, FromMessageParts, Value};

use super::pipe::{Cut, Pipe};
use super::serve::Serve;
use super::site::Site;

/// Makes the server.
pub(super) fn build(site: Site) -> Serve {
    let (service, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(25))
        .ping_timeout(Duration::from_secs(20))
        .max_payload(1_000_000)
        // Packets that wait to be written: those beyond this limit are lost, and a pipe full of small events must not
        // be.
        .max_buffer_size(4096)
        .build_with_inner_svc(site);
    // The middleware runs before the client learns that it is connected, the connect handler only after that: an event
    // that follows at once would find no handler.
    io.ns("/", (|| ready(())).with(register_handlers));
    Box::new(move |pipe| {
        let (pipe, cut) = Pipe::new(pipe);
        let service = service.clone();
        let answering = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(cut.clone());
            service.call(request)
        });
        let connection = http1::Builder::new()
            .title_case_headers(true)
            // The server that passes the response on dates it.
            .auto_date_header(false)
            .serve_connection(TokioIo::new(pipe), answering);
        Box::pin(async move {
            // An error means that the client's end of the pipe is gone, which notices by itself.
            let _ = connection.with_upgrades().await;
        })
    })
}

/// Registers the handlers of a client's events.
///
/// The handlers do their work before they return a future: futures run concurrently, and answers could overtake each
/// other.
#[expect(
    clippy::needless_pass_by_value,
    reason = "socketioxide gives a middleware what it extracts by value"
)]
fn register_handlers(socket: SocketRef) -> Ready<Result<(), Infallible>> {
    socket.on(
        "echo",
        |socket: SocketRef, ack: AckSender, asked: AckAsked, Data(arguments): Data<Arguments>| {
            // A disconnected client needs no answer.
            if asked.0 {
                let _ = ack.send(&arguments);
            } else {
                // Not the socket's own `emit`: it refuses to send until the server has noted that the client is
                // connected, which happens only after it has told the client. This is a broadcast to this socket only,
                // which is ready at once.
                let _ = socket.local().emit("echo", &arguments).now_or_never();
            }
            ready(())
        },
    );
    for event in ["chat", "cursor"] {
        socket.on(event, move |io: SocketIo, Data(arguments): Data<Arguments>| {
            // Within one process it is ready at once.
            let _ = io.emit(event, &arguments).now_or_never();
            ready(())
        });
    }
    socket.on("restart", |HttpExtension(cut): HttpExtension<Cut>| {
        cut.make();
        ready(())
    });
    ready(Ok(()))
}

/// Whether the client waits for an acknowledgement.
struct AckAsked(bool);

impl<A: Adapter> FromMessageParts<A> for AckAsked {
    type Error = Infallible;

    fn from_message_parts(
        _: &Arc<socketioxide::socket::Socket<A>>,
        _: &mut Value,
        ack_id: &Option<i64>,
    ) -> Result<Self, Infallible> {
        Ok(Self(ack_id.is_some()))
    }
}

/// All arguments of an event, including binary ones. It calls itself a tuple, because socketioxide spreads a tuple over
/// the arguments.
struct Arguments(Vec<rmpv::Value>);

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in &self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(0, ArgumentsVisitor)
    }
}

struct ArgumentsVisitor;

impl<'de> Visitor<'de> for ArgumentsVisitor {
    type Value = Arguments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the arguments of an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Arguments, A::Error> {
        let mut arguments = Vec::new();
        while let Some(argument) = seq.next_element()? {
            arguments.push(argument);
        }
        Ok(Arguments(arguments))
    }
}
