//! One connection: TLS if the listener speaks it, then HTTP/1.1 or HTTP/2 until it ends, is upgraded or the server ends
//! it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::admitted::Admitted;
use super::caller::{BoxError, Serve};
use super::connect_info::ConnectInfo;
use super::connection_limits::Exceeded;
use super::ending::Ending;
use super::http1::{About, Http, Http1Settings, Waits};
use super::http2::Http2;
use super::proxied::Proxies;
use super::served::{self, Serving, note_end};
use super::settings::{ListenerSettings, Settings};
use crate::address::{RemoteAddress, TrustedProxy};
use crate::budget::Charge;
use crate::duplex::{Duplex, Socket, TlsStream};
use crate::limited::{Limit, Limited};
use crate::limits::Limits;
use crate::meter::{Connections, Protocol};
use crate::networks::Networks;
use crate::tls::{ALPN_ACME, ALPN_HTTP2, NextTls, Ordered, ServerTls, TlsError, client_subject};
use crate::upstream::Pinned;

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    pub(super) listener: Arc<str>,
    proxies: Option<Proxies>,
    /// Proxies in front, whose connections carry the requests of many clients.
    trusted: Arc<[TrustedProxy]>,
    tls: Option<ServerTls>,
    pub(super) http: Arc<Http1Settings>,
    /// Whether TLS clients are offered HTTP/2.
    http2: bool,
    /// Whether other clients may begin with it.
    h2c: bool,
    networks: Networks,
}

impl Connecting {
    pub(super) fn new(listener: &ListenerSettings, tls: Option<ServerTls>, settings: &Settings) -> Self {
        let &Settings { idle_timeout, rest_after, half_close_timeout, limits, .. } = settings;
        let &ListenerSettings { http2, h2c, .. } = listener;
        let about = About {
            listener: Arc::clone(&listener.name),
            secure: listener.tls.is_some(),
            half_close_timeout,
        };
        let http = Arc::new(Http1Settings::new(Waits { rest_after, idle_timeout }, limits, about));
        let tls = tls.map(|tls| tls.offering_http2(http2));
        let proxies = listener.proxy_protocol.then(|| Proxies::new(&settings.trusted_proxies));
        let trusted = settings.trusted_proxies.as_slice().into();
        let networks = listener.networks.clone();
        let listener = Arc::clone(&listener.name);
        Self { listener, proxies, trusted, tls, http, http2, h2c, networks }
    }

    /// Reads the certificate of a listener in the settings that follow. `now` are its connections, if there is such a
    /// listener now.
    pub(super) fn next(
        now: Option<&Self>,
        listener: &ListenerSettings,
        settings: &Settings,
    ) -> Result<NextConnecting, TlsError> {
        let (mut connecting, mut tls) = (Self::new(listener, None, settings), None);
        let mut moves_clients = now.is_some_and(|now| {
            now.tls.is_some() != listener.tls.is_some()
                || now.http2 && !connecting.http2
                || now.h2c && !connecting.h2c
        });
        if let Some(files) = &listener.tls {
            match now.and_then(|now| now.tls.as_ref()) {
                Some(now) => {
                    let next = now.next(files)?;
                    moves_clients |= next.asks_other_clients();
                    tls = Some(next);
                }
                None => {
                    connecting.tls = Some(ServerTls::read(files)?.offering_http2(connecting.http2));
                }
            }
        }
        Ok(NextConnecting { connecting, tls, moves_clients })
    }

    /// Lets a connection in; `None` if there are too many, or its client may not come. Before a PROXY header that is not
    /// known.
    pub(super) fn admit(&self, limits: &Limits, peer: RemoteAddress) -> Option<Admitted> {
        let admitted = Admitted::new(limits)?;
        if self.proxies.is_some() { Some(admitted) } else { admitted.identified(peer, &self.networks) }
    }

    /// Returns the certificates that are ordered.
    pub(super) fn ordered(&self) -> Vec<Arc<Ordered>> {
        self.tls.as_ref().map(ServerTls::ordered).unwrap_or_default()
    }
}

/// What follows, once it takes over.
#[derive(Debug)]
pub(super) struct NextConnecting {
    connecting: Connecting,
    tls: Option<NextTls>,
    /// Whether a connection that has begun would be refused now, or speak another protocol.
    pub(super) moves_clients: bool,
}

impl NextConnecting {
    pub(super) fn take_over(self) -> Connecting {
        match self.tls {
            Some(tls) => {
                let tls = tls.take_over().offering_http2(self.connecting.http2);
                Connecting { tls: Some(tls), ..self.connecting }
            }
            None => self.connecting,
        }
    }
}

/// Begins to serve a connection. With HTTP/1.1 it goes on in another task, which takes less room than this.
pub(super) async fn run<M, S>(
    connecting: Arc<Connecting>,
    stream: Socket,
    peer: RemoteAddress,
    admitted: Admitted,
    serving: Arc<Serving<M>>,
    ending: Ending,
) where
    M: Fn(ConnectInfo) -> S + Send + Sync + 'static,
    S: Serve,
{
    let Serving { make, limited, connections, .. } = &*serving;
    let open = connections.opened();
    match opened(&connecting, stream, peer, Some(admitted), &ending, connections).await {
        Ok((io, info, Protocol::Http1)) => {
            served::begin(Arc::clone(&serving), Arc::clone(&connecting.http), io, info, open, ending);
        }
        Ok((io, info, Protocol::Http2)) => {
            let charge = connections.charge();
            let mut http = http2(&connecting, Arc::clone(make), info, io, limited.clone(), charge);
            // Not needed any more, and a connection may stay open for days.
            drop(connecting);
            let ended = ending.around(&mut http, |http, stage| http.change(stage)).await;
            note_end(peer, ended.unwrap_or(Ok(())), limited);
        }
        Err(error) => note_end(peer, Err(error), limited),
    }
}

/// Serves a connection that there is no descriptor for.
pub(super) async fn refuse<M, S>(
    connecting: Arc<Connecting>,
    stream: Socket,
    peer: RemoteAddress,
    make: Arc<M>,
    ending: Ending,
    (connections, limited): (Connections, Limited),
) where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    let _open = connections.opened();
    let ended = match opened(&connecting, stream, peer, None, &ending, &connections).await {
        Ok((io, info, Protocol::Http1)) => {
            let raw_headers = info.raw_headers.clone().counted(connections.charge());
            let mut http = Http::new(Arc::clone(&connecting.http), io, make(info), raw_headers);
            ending.around(&mut http, Http::change).await
        }
        Ok((io, info, Protocol::Http2)) => {
            let charge = connections.charge();
            let mut http = http2(&connecting, make, info, io, limited.clone(), charge);
            ending.around(&mut http, |http, stage| http.change(stage)).await
        }
        Err(error) => Some(Err(error)),
    };
    note_end(peer, ended.unwrap_or(Ok(())), &limited);
}

fn http2<M, S>(
    connecting: &Connecting,
    make: Arc<M>,
    info: ConnectInfo,
    io: Duplex,
    limited: Limited,
    charge: Charge,
) -> Box<Http2<M, S>>
where
    M: Fn(ConnectInfo) -> S,
    S: Serve,
{
    let is_proxy = info.peer.is_among(&connecting.trusted);
    let Http1Settings { waits, limits, .. } = &*connecting.http;
    let mut http = Box::new(Http2::new(make, info, io, waits.idle_timeout, *limits, limited, charge));
    if is_proxy {
        http.share();
    }
    http
}

/// Prepares the socket for HTTP, and counts what is spoken.
async fn opened(
    connecting: &Connecting,
    stream: Socket,
    peer: RemoteAddress,
    admitted: Option<Admitted>,
    ending: &Ending,
    connections: &Connections,
) -> Result<(Duplex, ConnectInfo, Protocol), BoxError> {
    let opened = open(connecting, stream, peer, admitted, ending, connections).await?;
    connections.began(opened.2);
    Ok(opened)
}

async fn open(
    connecting: &Connecting,
    mut stream: Socket,
    mut peer: RemoteAddress,
    mut admitted: Option<Admitted>,
    ending: &Ending,
    connections: &Connections,
) -> Result<(Duplex, ConnectInfo, Protocol), BoxError> {
    stream.set_nodelay()?;
    let ended = || io::Error::other("the server ends");
    if let Some(proxies) = &connecting.proxies {
        peer = tokio::select! {
            client = proxies.client(&mut stream, peer) => client?,
            () = ending.signalled() => return Err(ended().into()),
        };
        if let Some(unknown) = admitted {
            admitted = unknown.identified(peer, &connecting.networks);
            if admitted.is_none() {
                stream.abort();
                return Err(io::Error::other("its client may not come, or has too many connections").into());
            }
        }
    }
    let info = connecting.http.connect_info(peer, None, Pinned::default());
    let patience = info.patience.clone();
    let with_patience = |stream: Duplex| {
        let stream = stream.with_patience(Some(patience));
        match admitted {
            Some(admitted) => admitted.keep(stream),
            None => stream,
        }
    };
    let Some(tls) = &connecting.tls else {
        let protocol = if connecting.h2c {
            // Boxed like the handshake below.
            let Http1Settings { waits, limits, .. } = &*connecting.http;
            let begun = Box::pin(protocol_of(&stream, waits.idle_timeout, limits.header_timeout));
            tokio::select! {
                begun = begun => begun?,
                () = ending.signalled() => return Err(ended().into()),
            }
        } else {
            Protocol::Http1
        };
        return Ok((with_patience(stream.into()), info, protocol));
    };
    // Boxed, so that a connection does not keep the room that its handshake needed.
    let accepted = TlsStream::accept(stream, |hello| tls.config_for(hello));
    let handshake = Box::pin(timeout(connecting.http.limits.tls_timeout, accepted));
    let shaken = tokio::select! {
        shaken = handshake => shaken.map_or_else(|_| Err(Exceeded(Limit::TlsTimeout).into()), |shaken| Ok(shaken?)),
        () = ending.signalled() => return Err(ended().into()),
    };
    match shaken {
        Ok(stream) if stream.agreed().alpn_protocol() == Some(ALPN_ACME) => {
            // It has seen the certificate, and there is nothing else to say (RFC 8737, section 3).
            Err(io::Error::other("the challenge of an ACME server was answered").into())
        }
        Ok(stream) => {
            let subject = client_subject(stream.agreed()).map(Arc::new);
            let info = ConnectInfo { subject, ..info };
            let is_http2 = stream.agreed().alpn_protocol() == Some(ALPN_HTTP2);
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            Ok((with_patience(stream.charged(connections.charge()).into()), info, protocol))
        }
        Err(error) => {
            connections.tls_failed();
            Err(error)
        }
    }
}

/// Returns what a client without TLS speaks. Nothing is read: what it says is the protocol's to read.
async fn protocol_of(
    stream: &Socket,
    idle_timeout: Duration,
    header_timeout: Duration,
) -> Result<Protocol, BoxError> {
    let mut begun = [0; PREFACE.len()];
    timeout(idle_timeout, stream.peek(&mut begun)).await??;
    let known = async {
        loop {
            let len = stream.peek(&mut begun).await?;
            if len == 0 || begun[..len] != PREFACE[..len] {
                return Ok(Protocol::Http1);
            }
            if len == PREFACE.len() {
                return Ok(Protocol::Http2);
            }
            // The rest comes without another event: the socket is already readable.
            sleep(PEEK_PACE).await;
        }
    };
    timeout(header_timeout, known).await.unwrap_or_else(|_| Err(Exceeded(Limit::HeaderTimeout).into()))
}

/// How clients of HTTP/2 begin (RFC 9113, section 3.4); no method of HTTP/1.1 does.
const PREFACE: &[u8; 4] = b"PRI ";
const PEEK_PACE: Duration = Duration::from_millis(20);
