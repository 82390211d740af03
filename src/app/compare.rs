//! `check --against`: asks a process that runs whether it could take a configuration over without a restart.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::{Config, Differing, Fixed};

/// Returns what the process says whose admin listener has this URL, or this socket (`unix:` and its path): what differs from
/// its own configuration, and only changes at a restart.
///
/// # Errors
/// It cannot be asked; the text says why.
pub fn compare(config: &Config, admin: &str) -> Result<Differing, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = async {
        let asked = timeout(TIMEOUT, ask(config, admin)).await;
        asked.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer")))
    };
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(asked).map_err(|error| format!("{admin}: {error:#}"))
}

async fn ask(config: &Config, admin: &str) -> anyhow::Result<Differing> {
    if let Some(path) = admin.strip_prefix("unix:") {
        return ask_on(UnixStream::connect(path).await?, "localhost", config).await;
    }
    let uri: Uri = admin.parse()?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let Some(authority) = authority else {
        anyhow::bail!("expected a URL such as http://127.0.0.1:9090, or unix:/run/admin.sock")
    };
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    ask_on(TcpStream::connect(address).await?, authority.as_str(), config).await
}

async fn ask_on(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    config: &Config,
) -> anyhow::Result<Differing> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut salt = [0; 8];
    getrandom::fill(&mut salt)?;
    let query = Fixed::of(config).to_query(&u64::from_ne_bytes(salt).to_string());
    let request =
        Request::get(format!("/api/differing?{query}")).header(HOST, host).body(Empty::<Bytes>::new())?;
    let response = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            anyhow::bail!("it responds {}: is that an admin listener?", response.status());
        }
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    };
    let body = tokio::select! {
        body = response => body?,
        _ended = connection => anyhow::bail!("it has closed the connection"),
    };
    let told: Value = serde_json::from_slice(&body)?;
    Differing::from_json(&told).context("it responds something else: is that an admin listener?")
}

const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_MAX: usize = 64 << 10;
