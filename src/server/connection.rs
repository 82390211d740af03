//! One connection: TLS if the listener speaks it, then HTTP/1.1 until it ends, is upgraded or the server ends it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tracing::debug;

use super::caller::Serve;
use super::ending::Ending;
use super::http1::Http;
use super::settings::{ListenerSettings, Settings};
use crate::duplex::{Duplex, Patience, RawHeaders};
use crate::hop;
use crate::meter::Connections;
use crate::tls::{NextTls, ServerTls, TlsError};

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    /// The other side of the socket: the client, or a proxy in front.
    pub peer: SocketAddr,
    /// The name of the listener that accepted it.
    pub listener: Arc<str>,
    /// Whether TLS ends here.
    pub secure: bool,
    /// How long the client may stop reading. A service may set another limit.
    pub patience: Patience,
    /// Shows the header of the request with which the service is called.
    pub raw_headers: RawHeaders,
}

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    pub(super) listener: Arc<str>,
    tls: Option<ServerTls>,
    http: http1::Builder,
    rest_after: Duration,
    half_close_timeout: Duration,
}

impl Connecting {
    pub(super) fn new(listener: &Arc<str>, tls: Option<ServerTls>, settings: &Settings) -> Self {
        let mut http = http1::Builder::new();
        // This one timeout covers the wait for a first request, a slow header and the wait for the next request.
        http.timer(TokioTimer::new()).header_read_timeout(settings.idle_timeout);
        // Hyper does not decide whether a half-closed client is gone: it only looks if nothing lies unread.
        http.half_close(true);
        // Hyper answers more lines with 431. A higher maximum than hyper's default would cost each request 11
        // instructions per line, used or not, so it is set only if it is needed (`Http`).
        http.max_header_size(hop::HEADER_MAX).max_buf_size(hop::HEADER_MAX);
        let Settings { rest_after, half_close_timeout, .. } = *settings;
        Self { listener: Arc::clone(listener), tls, http, rest_after, half_close_timeout }
    }

    /// Reads the certificate of a listener in the settings that follow. `now` are its connections, if there is such a
    /// listener now.
    pub(super) fn next(
        now: Option<&Self>,
        listener: &ListenerSettings,
        settings: &Settings,
    ) -> Result<NextConnecting, TlsError> {
        let (mut connecting, mut tls) = (Self::new(&listener.name, None, settings), None);
        if let Some(files) = &listener.tls {
            match now.and_then(|now| now.tls.as_ref()) {
                Some(now) => tls = Some(now.next(files)?),
                None => connecting.tls = Some(ServerTls::read(files)?),
            }
        }
        Ok(NextConnecting { connecting, tls })
    }
}

/// What follows, once it takes over.
#[derive(Debug)]
pub(super) struct NextConnecting {
    connecting: Connecting,
    tls: Option<NextTls>,
}

impl NextConnecting {
    pub(super) fn take_over(self) -> Connecting {
        match self.tls {
            Some(tls) => Connecting { tls: Some(tls.take_over()), ..self.connecting },
            None => self.connecting,
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn run<M, S>(
    connecting: Arc<Connecting>,
    stream: TcpStream,
    peer: SocketAddr,
    make: Arc<M>,
    ending: Ending,
    connections: Connections,
) where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    let _open = connections.opened();
    let raw_headers = RawHeaders::default();
    let (io, info) = match open(&connecting, stream, peer, &ending, &connections, &raw_headers).await {
        Ok(opened) => opened,
        Err(error) => return debug!(%peer, %error, "connection setup failed"),
    };
    let mut http = Http::new(connecting.http.clone(), connecting.rest_after, io, make(info), raw_headers);
    // Not needed any more, and a connection may stay open for days.
    drop((connecting, make));

    if let Err(error) = ending.around(&mut http, Http::change).await {
        debug!(%peer, error = &*error as &dyn std::error::Error, "a connection broke");
    }
}

/// Prepares the socket for HTTP.
async fn open(
    connecting: &Connecting,
    stream: TcpStream,
    peer: SocketAddr,
    ending: &Ending,
    connections: &Connections,
    raw_headers: &RawHeaders,
) -> io::Result<(Duplex, ConnectInfo)> {
    // Responses to polls are short, and somebody waits for them.
    stream.set_nodelay(true)?;
    let patience = Patience::new(STALL_TIMEOUT);
    patience.set_half_close(connecting.half_close_timeout);
    let info = ConnectInfo {
        peer,
        listener: Arc::clone(&connecting.listener),
        secure: connecting.tls.is_some(),
        patience: patience.clone(),
        raw_headers: raw_headers.clone(),
    };
    let with_patience = |stream: Duplex| stream.with_patience(Some(patience));
    let Some(tls) = &connecting.tls else { return Ok((with_patience(stream.into()), info)) };
    // Boxed, so that a connection does not keep the room that its handshake needed.
    let handshake =
        Box::pin(timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(Arc::clone(tls.config())).accept(stream)));
    let shaken = tokio::select! {
        shaken = handshake => shaken.map_err(io::Error::from).flatten(),
        () = ending.signalled() => return Err(io::Error::other("the server ends")),
    };
    match shaken {
        Ok(stream) => Ok((with_patience(TlsStream::from(stream).into()), info)),
        Err(error) => {
            connections.tls_failed();
            Err(error)
        }
    }
}

/// How long a client may stop reading a response until the request's route sets its own limit.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Long enough for a distant client that loses a packet or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
