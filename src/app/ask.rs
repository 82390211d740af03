//! What a command of this binary asks a process that runs, at its admin listener.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::service::AdminSettings;
use crate::tls::client_of;

/// Returns the response to a GET of `target` at the admin listener that has this URL, or this socket (`unix:` and its path),
/// and the token and the certificates of these settings.
///
/// # Errors
/// It cannot be asked; the text names it, and says why.
pub(super) fn ask(
    admin: &str,
    target: &str,
    settings: &AdminSettings,
) -> Result<(StatusCode, Bytes), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = async {
        let asked = timeout(TIMEOUT, connect_and_ask(admin, target, settings)).await;
        asked.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer")))
    };
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(asked).map_err(|error| format!("{admin}: {error:#}"))
}

async fn connect_and_ask(
    admin: &str,
    target: &str,
    AdminSettings { token, tls, .. }: &AdminSettings,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let token = token.as_ref();
    let tls = tls.as_ref().map(client_of).transpose()?.map(TlsConnector::from);
    if let Some(path) = admin.strip_prefix("unix:") {
        let stream = UnixStream::connect(path).await?;
        return match tls {
            Some(tls) => ask_on(tls.connect(nobody(), stream).await?, "localhost", target, token).await,
            None => ask_on(stream, "localhost", target, token).await,
        };
    }
    let uri: Uri = admin.parse()?;
    let (Some(authority), Some(scheme @ ("http" | "https"))) = (uri.authority(), uri.scheme_str()) else {
        anyhow::bail!("expected a URL such as http://127.0.0.1:9090, or unix:/run/admin.sock")
    };
    let port = authority.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
    let stream = TcpStream::connect((authority.host().trim_matches(['[', ']']), port)).await?;
    match (scheme, tls) {
        ("http", _) => ask_on(stream, authority.as_str(), target, token).await,
        // Its certificate is known, whatever its name.
        (_, Some(tls)) => {
            ask_on(tls.connect(nobody(), stream).await?, authority.as_str(), target, token).await
        }
        (_, None) => anyhow::bail!("the configuration has no admin.tls, whose certificate would be known"),
    }
}

async fn ask_on(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    target: &str,
    token: Option<&HeaderValue>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::get(target).header(HOST, host).body(Empty::<Bytes>::new())?;
    if let Some(token) = token {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    let response = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await;
        Ok((head.status, body.map_err(|error| anyhow::anyhow!(error))?.to_bytes()))
    };
    tokio::select! {
        response = response => response,
        _ended = connection => anyhow::bail!("it has closed the connection"),
    }
}

/// Names nobody in particular: the first certificate is shown.
fn nobody() -> ServerName<'static> {
    ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST))
}

const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_MAX: usize = 64 << 10;
