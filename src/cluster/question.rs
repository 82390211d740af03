//! A request at the node that asks.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use http_body::Body;

use super::answer::{self, AnswerBody};
use super::channel::Channel;
use super::request::{Stop, Stopped};
use super::stream::PeerStream;
use crate::address::RemoteAddress;
use crate::duplex::Receipt;
use crate::large_head::LargeHead;
use crate::peer::{Address, Content, Head, HeadTooLarge, Known, Line, Number, Read, search_of, write_ask};
use crate::sid::Node;

/// A request that was passed to the node of its session. Dropped before its response, it tells that node that the client
/// is gone.
pub struct Question {
    channel: Arc<Channel>,
    number: Number,
    /// Whether nothing more is to come, or another value waits for it.
    is_answered: bool,
}

/// There is no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The owner has none: the client's connection is dropped.
    Refused,
    /// The connection broke before the response began.
    Connection,
}

/// The header of a request as it is passed on, however often: all that is kept of it while it waits.
#[derive(Default)]
pub struct Prepared {
    frame: Box<[u8]>,
    /// What was read in it, for nodes that take that.
    read: Option<Read>,
    /// The length of its body, if that is known.
    len: Option<u64>,
    #[expect(dead_code, reason = "held for its drop")]
    large: Option<LargeHead>,
}

impl Prepared {
    /// Writes a request's header. `address` is its client's, and `content` what its header says of its body.
    ///
    /// # Errors
    /// The header is too large.
    pub fn new(
        head: &Parts,
        address: RemoteAddress,
        known: Known,
        content: &Content,
    ) -> Result<Self, HeadTooLarge> {
        Self::with(head, address, known, content, None)
    }

    /// Writes the header of a search that another node has begun, for a process of this host. It names that node.
    ///
    /// # Errors
    /// The header is too large.
    pub fn search_of(
        asker: Node,
        head: &Parts,
        address: RemoteAddress,
        known: Known,
    ) -> Result<Self, HeadTooLarge> {
        let asker = HeaderValue::from_str(&asker.to_string()).ok();
        Self::with(head, address, known, &Content::Nothing, asker.as_ref())
    }

    fn with(
        head: &Parts,
        address: RemoteAddress,
        known: Known,
        content: &Content,
        asker: Option<&HeaderValue>,
    ) -> Result<Self, HeadTooLarge> {
        let (ip, port) = match address {
            RemoteAddress::Ip(address) => (address.ip(), address.port()),
            RemoteAddress::Unix => (NO_IP.into(), 0),
        };
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let client = Address { ip: ip.octets(), port };
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let came_in = head.extensions.get().and_then(|CameIn(name)| HeaderValue::from_str(name).ok());
        let lines = head.headers.iter().map(Line::from).filter(|line| line.crosses(known.upgrades));
        let lines = lines.chain(asker.map(|asker| Line::from((&ASKER, asker))));
        let lines = lines.chain(came_in.as_ref().map(|name| Line::from((&CAME_IN, name))));
        let (method, target) = (&head.method, target.as_bytes());
        let read = known.read;
        let known = Known { names_listener: came_in.is_some(), read: None, ..known };
        let frame = SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            write_ask(scratch, Number(0), method, target, lines, client, known, content)?;
            // It is kept for as long as the request waits.
            Ok(Box::from(&scratch[..]))
        })?;
        let len = if let Content::Pieces(len) = content { *len } else { None };
        Ok(Self { frame, read, len, large: LargeHead::of(&head.extensions) })
    }

    /// Returns the question whether a node has the session.
    pub fn search(&self) -> Self {
        Self { frame: search_of(&self.frame), read: None, len: None, large: None }
    }
}

impl Question {
    /// Passes a request on; `None` if the connection is over. `whole` is its body, if all of it is there.
    pub(super) fn ask(channel: &Arc<Channel>, prepared: &Prepared, whole: Option<&Bytes>) -> Option<Self> {
        let pieces = prepared.len.filter(|_| whole.is_none());
        let Prepared { frame, read, .. } = prepared;
        let read = read.filter(|_| channel.takes_read);
        let number = channel.ask(pieces, |out, number| number.write_again(frame, read, whole, out))?;
        Some(Self { channel: Arc::clone(channel), number, is_answered: false })
    }

    /// Passes on the first piece of the request's body.
    pub fn send(&self, bytes: Bytes) {
        self.channel.send(self.number, bytes, None);
    }

    /// Passes on what there is of the request's body. Returns whether that was all.
    ///
    /// # Errors
    /// The body broke.
    pub fn poll_body<B>(&self, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<(), B::Error>>
    where
        B: Body<Data = Bytes>,
    {
        loop {
            // If the request was stopped, the response says why.
            if ready!(self.channel.poll_room(self.number, cx)).is_err() {
                return Poll::Pending;
            }
            let Some(frame) = ready!(body.as_mut().poll_frame(cx)) else {
                self.channel.end(self.number);
                return Poll::Ready(Ok(()));
            };
            // Nobody here reads trailers.
            if let Ok(bytes) = frame?.into_data() {
                self.send(bytes);
            }
        }
    }

    /// Polls for the response's header.
    pub fn poll_head(&mut self, cx: &Context<'_>) -> Poll<Result<Box<Head>, Broken>> {
        let head = ready!(self.channel.poll_head(self.number, cx)).map_err(|stopped| match stopped {
            Stopped::Told => Broken::Refused,
            Stopped::Broken => Broken::Connection,
        })?;
        self.is_answered = matches!(head.content, Content::Nothing | Content::Whole(_));
        Poll::Ready(Ok(head))
    }

    /// Returns the receipt of a response's body that came with its header.
    pub fn into_receipt(mut self, len: usize) -> Receipt {
        self.is_answered = true;
        answer::receipt(Arc::clone(&self.channel), self.number, len)
    }

    /// Returns the response's body, which follows its header.
    pub fn into_body(mut self, len: Option<u64>) -> AnswerBody {
        self.is_answered = true;
        AnswerBody::new(Arc::clone(&self.channel), self.number, len)
    }

    /// Returns the stream behind a 101.
    pub fn into_stream(mut self) -> PeerStream {
        self.is_answered = true;
        PeerStream::new(Arc::clone(&self.channel), self.number, Stop::Gone, None)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if !self.is_answered {
            self.channel.stop(self.number, Stop::Gone);
        }
    }
}

/// The listener at which a request's client came in, for requests whose route depends on it.
#[derive(Clone, Debug)]
pub struct CameIn(pub Arc<str>);

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} bytes)", self.frame.len())
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Question").field(&self.number).finish()
    }
}

/// Returns the address that another node has written.
pub fn remote(address: Address) -> RemoteAddress {
    match Ipv6Addr::from(address.ip) {
        NO_IP => RemoteAddress::Unix,
        ip => SocketAddr::new(ip.to_canonical(), address.port).into(),
    }
}

/// What stands for a client by a Unix socket: nobody connects from there.
const NO_IP: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

thread_local! {
    /// Where a header is written whose length is not known before.
    static SCRATCH: RefCell<BytesMut> = RefCell::default();
}

/// Which node has begun a search that a process of its host passes on. A client's header of this name does not cross.
pub static ASKER: HeaderName = HeaderName::from_static("polliwog-asker");
/// The name in [`CameIn`]. A client's header of this name does not cross either.
pub static CAME_IN: HeaderName = HeaderName::from_static("polliwog-listener");
