//! The backend behind a proxy: Engine.IO over WebSocket or plain messages, one for each session or one for all, and
//! nothing more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context as _, bail};
use polliwog::packet::Message;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::frame;
use crate::mux::MuxLine;
use crate::stream::{read_some, read_up_to, send};
use crate::words::{Answering, GROUP, MESSAGE, PACKET, number_in};

/// All sessions of the backend, by the number in their query. Its connections end with its last handle.
#[derive(Clone)]
pub(crate) struct Backend {
    inner: Rc<Inner>,
    _accepting: Rc<JoinSet<()>>,
}

struct Inner {
    address: SocketAddr,
    answering: Answering,
    sessions: RefCell<HashMap<usize, Session>>,
}

/// How a session is reached.
enum Session {
    /// With how it writes a message.
    Own(Rc<OwnedWriteHalf>, &'static str),
    Mux(Rc<MuxLine>, polliwog::mux::Id),
}

impl Backend {
    pub(crate) fn start(answering: Answering) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(4096)?;
        let address = listener.local_addr()?;
        let inner = Rc::new(Inner { address, answering, sessions: RefCell::default() });
        let mut accepting = JoinSet::new();
        accepting.spawn_local(accept(listener, Rc::clone(&inner)));
        Ok(Self { inner, _accepting: Rc::new(accepting) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Sends a message to each session of some, whose connections are shared ones.
    pub(crate) fn push_to(&self, numbers: impl IntoIterator<Item = usize>) -> anyhow::Result<()> {
        let sessions = self.inner.sessions.borrow();
        for number in numbers {
            let Some(Session::Mux(line, id)) = sessions.get(&number) else { bail!("no session {number}") };
            write(line.writer(), &line.message(*id, Message::text(MESSAGE)))?;
        }
        Ok(())
    }

    /// Sends a message to each session of a group.
    pub(crate) fn push(&self, group: u16) -> anyhow::Result<()> {
        let sessions = self.inner.sessions.borrow();
        let first = usize::from(group) * GROUP;
        let mut shared: Option<(&MuxLine, Vec<u8>)> = None;
        for number in first..first + GROUP {
            match sessions.get(&number).context("a session has no connection to the backend")? {
                // A message is short, and the one before it was taken: the socket has room.
                Session::Own(writer, message) => {
                    write(writer, &frame::from_server(frame::TEXT, message.as_bytes()))?;
                }
                Session::Mux(line, id) => {
                    let (_, bytes) = shared.get_or_insert_with(|| (line, Vec::new()));
                    bytes.extend(line.message(*id, Message::text(MESSAGE)));
                }
            }
        }
        shared.map_or(Ok(()), |(line, bytes)| write(line.writer(), &bytes))
    }
}

fn write(writer: &OwnedWriteHalf, bytes: &[u8]) -> anyhow::Result<()> {
    let len = writer.try_write(bytes).context("cannot send to the proxy")?;
    anyhow::ensure!(len == bytes.len(), "the proxy takes nothing");
    Ok(())
}

async fn accept(listener: TcpListener, inner: Rc<Inner>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let inner = Rc::clone(&inner);
        // The client notices a broken connection.
        tasks.spawn_local(async move { drop(inner.serve(stream).await) });
        while tasks.try_join_next().is_some() {}
    }
}

impl Inner {
    async fn serve(self: Rc<Self>, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, writer) = stream.into_split();
        let writer = Rc::new(writer);
        let mut bytes = Vec::new();
        let head_len = loop {
            read_some(&mut reader, &mut bytes).await?;
            if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
        bytes = bytes.split_off(head_len);
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let key = derive_accept_key(header("sec-websocket-key").context("no key")?.as_bytes());
        let is_mux = header("sec-websocket-protocol").is_some_and(|offer| offer.contains(MuxLine::PROTOCOL));
        let protocol =
            if is_mux { format!("Sec-WebSocket-Protocol: {}\r\n", MuxLine::PROTOCOL) } else { String::new() };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        send(&writer, answer.as_bytes()).await?;
        if is_mux {
            return self.serve_all(Rc::new(MuxLine::new(writer)), reader, bytes).await;
        }
        let number = number_in(&head).context("no number")?;
        let is_plain = !head.contains("EIO=");
        // The handshake's memory is freed before the session waits, since thousands wait.
        drop(head);
        self.serve_one(number, is_plain, &writer, reader, bytes).await
    }

    /// Returns a session on a connection of its own.
    async fn serve_one(
        &self,
        number: usize,
        is_plain: bool,
        writer: &Rc<OwnedWriteHalf>,
        mut reader: OwnedReadHalf,
        mut bytes: Vec<u8>,
    ) -> anyhow::Result<()> {
        let message = if is_plain { MESSAGE } else { PACKET };
        self.sessions.borrow_mut().insert(number, Session::Own(Rc::clone(writer), message));
        if !is_plain {
            let open = format!(
                "0{{\"sid\":\"{number:020}\",\"upgrades\":[],\"pingInterval\":600000,\"pingTimeout\":600000,\"maxPayload\":1000000}}"
            );
            send(writer, &frame::from_server(frame::TEXT, open.as_bytes())).await?;
        }
        bytes.shrink_to_fit();
        loop {
            let mut answer = Vec::new();
            while let Some(read) = frame::take(&mut bytes) {
                match read.opcode {
                    frame::TEXT if self.answering == Answering::Silent => {}
                    frame::PING => answer.extend(frame::from_server(frame::PONG, &read.payload)),
                    opcode => answer.extend(frame::from_server(opcode, &read.payload)),
                }
                if read.opcode == frame::CLOSE {
                    send(writer, &answer).await?;
                    self.sessions.borrow_mut().remove(&number);
                    return Ok(());
                }
            }
            send(writer, &answer).await?;
            read_some(&mut reader, &mut bytes).await?;
        }
    }

    /// Returns all sessions on one connection.
    async fn serve_all(
        &self,
        line: Rc<MuxLine>,
        mut reader: OwnedReadHalf,
        mut bytes: Vec<u8>,
    ) -> anyhow::Result<()> {
        loop {
            let mut answer = Vec::new();
            while let Some(read) = frame::take(&mut bytes) {
                let begun = line.hear(read, self.answering, &mut answer)?;
                if let Some((number, id)) = begun {
                    self.sessions.borrow_mut().insert(number, Session::Mux(Rc::clone(&line), id));
                }
            }
            send(line.writer(), &answer).await?;
            read_up_to::<SHARED_READ_LEN>(&mut reader, &mut bytes).await?;
        }
    }
}

/// How much node and Python read at once from a socket that all sessions share.
const SHARED_READ_LEN: usize = 64 << 10;
