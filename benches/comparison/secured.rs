//! Clients that speak TLS: both connections of a polling session, as clients hold them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::request;
use crate::process::Folder;
use crate::receiver::Receiver;
use crate::stream::read_some;

pub(crate) type Connection = TlsStream<TcpStream>;

/// Writes the certificate and the key of a server. Returns its keys in the configuration.
pub(crate) fn certify(folder: &Folder) -> anyhow::Result<String> {
    let pair = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    folder.write(CERTIFICATE, &pair.cert.pem())?;
    folder.write("key.pem", &pair.signing_key.serialize_pem())?;
    let folder = folder.path().display();
    Ok(format!("tls = {{ certificate = \"{folder}/{CERTIFICATE}\", key = \"{folder}/key.pem\" }}\n"))
}

/// Returns what connects to the server whose certificate is in this folder.
pub(crate) fn connector(folder: &Folder) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.file(CERTIFICATE))?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
}

/// Begins a polling session. Its poll is parked, and the connection of its POST is idle.
pub(crate) async fn hold(
    connector: &TlsConnector,
    server: SocketAddr,
    number: usize,
) -> anyhow::Result<[Connection; 2]> {
    let receiver = Receiver::EngineIo;
    let (mut poll, mut other) = (connect(connector, server).await?, connect(connector, server).await?);
    let (method, path) = receiver.begin(number);
    let begun = ask(&mut poll, &request(server, method, &path, "")).await?;
    let [path, push_path] = receiver.follow(number, &begun)?;
    poll.write_all(&request(server, "GET", &path, "")).await?;
    let taken = ask(&mut other, &request(server, "POST", &push_path, receiver.post())).await?;
    anyhow::ensure!(receiver.is_taken(&taken), "a POST was not taken");
    Ok([poll, other])
}

async fn connect(connector: &TlsConnector, server: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from(NAME)?, stream).await?)
}

/// Returns the body of a response, which must be a success.
async fn ask(stream: &mut Connection, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    loop {
        read_some(stream, &mut bytes).await?;
        let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") else { continue };
        let head = str::from_utf8(&bytes[..at])?.to_ascii_lowercase();
        anyhow::ensure!(head.starts_with("http/1.1 200"), "not 200: {head}");
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let len: usize = len.context("no length")?.parse()?;
        let body = at + b"\r\n\r\n".len();
        if bytes.len() >= body + len {
            return Ok(bytes.split_off(body));
        }
    }
}

const NAME: &str = "localhost";
const CERTIFICATE: &str = "cert.pem";
