//! The backend: a plain WebSocket server that echoes, or keeps silent, and speaks when it is told to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::client::send;
use crate::frame;

/// All its connections, each known by the number that the client put into its query.
#[derive(Clone)]
pub(crate) struct Backend(Rc<Inner>);

struct Inner {
    address: SocketAddr,
    streams: RefCell<HashMap<usize, Rc<TcpStream>>>,
    echoes: Cell<bool>,
}

impl Backend {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let backend = Self(Rc::new(Inner { address, streams: RefCell::default(), echoes: Cell::new(false) }));
        let this = backend.clone();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = this.clone();
                // A connection that breaks is missed by its client.
                spawn_local(async move { this.serve(stream).await });
            }
        });
        Ok(backend)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Whether messages are sent back.
    pub(crate) fn echo(&self, echoes: bool) {
        self.0.echoes.set(echoes);
    }

    /// Sends a text message to one session.
    pub(crate) fn push(&self, number: usize, text: &str) -> anyhow::Result<()> {
        let streams = self.0.streams.borrow();
        let stream = streams.get(&number).context("the session has no connection to the backend")?;
        // A message is short, and the one before it was taken: the socket has room.
        stream.try_write(&frame::from_server(frame::TEXT, text.as_bytes()))?;
        Ok(())
    }

    async fn serve(self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let stream = Rc::new(stream);
        let mut bytes = Vec::new();
        let head_len = loop {
            read_some(&stream, &mut bytes).await?;
            if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
        let key = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            .map(|(_, key)| derive_accept_key(key.trim().as_bytes()))
            .context("no key")?;
        let number = head.split_once("n=").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit));
        let number = number.context("no number")?.collect::<String>().parse()?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        self.0.streams.borrow_mut().insert(number, Rc::clone(&stream));
        send(&stream, answer.as_bytes()).await?;
        // Thousands of these wait: none keeps what its handshake needed.
        bytes = bytes.split_off(head_len);
        bytes.shrink_to_fit();
        while self.speak(&stream, &mut bytes).await? {}
        self.0.streams.borrow_mut().remove(&number);
        Ok(())
    }

    /// Waits for bytes and answers what came in whole; whether the connection goes on.
    async fn speak(&self, stream: &TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<bool> {
        read_some(stream, bytes).await?;
        while let Some(read) = frame::read(bytes) {
            bytes.drain(..read.len);
            if read.opcode == frame::CLOSE {
                send(stream, &frame::from_server(frame::CLOSE, &read.payload)).await?;
                return Ok(false);
            }
            if self.0.echoes.get() {
                send(stream, &frame::from_server(read.opcode, &read.payload)).await?;
            }
        }
        Ok(true)
    }
}

pub(crate) async fn read_some(stream: &TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    loop {
        stream.readable().await?;
        let mut room = [0; 4096];
        match stream.try_read(&mut room) {
            Ok(0) => anyhow::bail!("the connection has ended"),
            Ok(len) => {
                bytes.extend_from_slice(&room[..len]);
                return Ok(());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}
