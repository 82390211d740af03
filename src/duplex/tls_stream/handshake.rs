//! Both sides' handshakes.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, ClientHello, UnbufferedServerConnection};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{Reading, Side, TlsStream, invalid};
use crate::duplex::Socket;

impl TlsStream {
    /// Runs the handshake with a client. How it goes is chosen by the client's first message.
    ///
    /// # Errors
    /// The connection broke, or both sides could not agree.
    pub async fn accept(
        mut socket: Socket,
        config_for: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
    ) -> io::Result<Self> {
        let mut hello = Vec::with_capacity(HELLO_LEN);
        let config = chosen(&mut socket, &mut hello, config_for).await?;
        let connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Self { incoming: hello, ..Self::new(socket, Side::Server(connection)) }.shaken().await
    }

    /// Runs the handshake with a server of this name.
    ///
    /// # Errors
    /// The connection broke, both sides could not agree, or the server has not proved its name.
    pub async fn connect(
        socket: Socket,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        Self::new(socket, Side::Client(connection)).shaken().await
    }

    async fn shaken(mut self) -> io::Result<Self> {
        poll_fn(|cx| self.poll_shake(cx)).await?;
        Ok(self)
    }

    fn poll_shake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Both go on to what was read already: the first message, or nothing.
        let mut none = ReadBuf::new(&mut []);
        self.decrypt_rest(&mut none);
        loop {
            if let Reading::Failed(error) = &self.reading {
                let error = invalid(error.clone());
                // The alert. It is of no interest any more whether it arrives.
                let _ = ready!(self.poll_drain(cx));
                return Poll::Ready(Err(error));
            }
            ready!(self.poll_drain(cx))?;
            if !self.agreed().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if !matches!(self.reading, Reading::Open) {
                return Poll::Ready(Err(eof()));
            }
            ready!(self.poll_decrypt(cx, &mut none))?;
        }
    }
}

/// Reads a client's first message, which chooses what it is accepted with. What was read is still to be answered.
async fn chosen(
    socket: &mut Socket,
    hello: &mut Vec<u8>,
    config_for: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
) -> io::Result<Arc<ServerConfig>> {
    let mut acceptor = Acceptor::default();
    loop {
        let begin = hello.len();
        if socket.read_buf(hello).await? == 0 {
            return Err(eof());
        }
        let mut bytes = &hello[begin..];
        while !bytes.is_empty() {
            acceptor.read_tls(&mut bytes)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(config_for(&accepted.client_hello())),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut told = Vec::new();
                    alert.write_all(&mut told)?;
                    // It is of no interest any more whether it arrives.
                    let _ = socket.write_all(&told).await;
                    return Err(invalid(error));
                }
            }
        }
    }
}

fn eof() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended in the TLS handshake")
}

/// Room for a usual first message, with a post-quantum key.
const HELLO_LEN: usize = 2048;
