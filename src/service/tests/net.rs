//! The network between nodes in memory: who listens where, and lines that a test cuts after so many bytes.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::{Duration, Instant, sleep};

use super::site::Site;
use crate::cluster::{Greeting, Me, Unreached, Way};
use crate::duplex::{Carries, Duplex};
use crate::sid::Tag;
use crate::throttle::Throttle;

/// The network.
#[derive(Clone, Default, Debug)]
pub(super) struct Net(Arc<Mutex<Wires>>);

#[derive(Default, Debug)]
struct Wires {
    listeners: HashMap<String, Listener>,
    /// When each address was dialled, and from which one.
    dials: Vec<(Instant, String, String)>,
    /// The line that was made last between two addresses.
    lines: HashMap<(String, String), Line>,
}

#[derive(Clone, Debug)]
struct Listener {
    site: Arc<Site>,
    /// It takes connections, and says nothing.
    is_silent: bool,
}

/// Both ends of a line: the asker's and the owner's.
#[derive(Clone, Debug)]
struct Line([End; 2]);

/// Where a line is cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// Here.
    Now,
    /// After so many more bytes that the asker sends.
    Questions(usize),
    /// After so many more bytes that the owner sends.
    Answers(usize),
}

/// How a node reaches the others.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) net: Net,
    pub(super) me: Me,
    pub(super) address: String,
}

impl Net {
    pub(super) fn listen(&self, address: &str, site: &Arc<Site>) {
        let listener = Listener { site: Arc::clone(site), is_silent: false };
        self.lock().listeners.insert(address.to_owned(), listener);
    }

    /// Nobody listens there any more.
    pub(super) fn leave(&self, address: &str) {
        self.lock().listeners.remove(address);
    }

    /// Has the node there say nothing to those who dial it from now on, or speak again.
    pub(super) fn silence(&self, address: &str, is_silent: bool) {
        if let Some(listener) = self.lock().listeners.get_mut(address) {
            listener.is_silent = is_silent;
        }
    }

    /// Cuts the line that leads from one address to another.
    pub(super) fn cut(&self, from: &str, to: &str, cut: Cut) {
        let line = self.lock().lines.get(&(from.to_owned(), to.to_owned())).cloned();
        let Some(Line(ends)) = line else { return };
        match cut {
            Cut::Now => ends.iter().for_each(End::cut),
            Cut::Questions(len) => ends[0].lock().left = len,
            Cut::Answers(len) => ends[1].lock().left = len,
        }
    }

    /// Has the owner on the line from one address to another read and write no more, as a process that is stopped.
    pub(super) fn freeze(&self, from: &str, to: &str) {
        self.lock().lines[&(from.to_owned(), to.to_owned())].0[1].lock().is_frozen = true;
    }

    /// Returns how much the owner on a line has sent.
    pub(super) fn answered(&self, from: &str, to: &str) -> usize {
        self.lock().lines[&(from.to_owned(), to.to_owned())].0[1].lock().written
    }

    /// Takes all dials since the last call: when, from where and whereto.
    pub(super) fn dials(&self) -> Vec<(Instant, String, String)> {
        std::mem::take(&mut self.lock().dials)
    }

    fn listener(&self, address: &str) -> Option<Listener> {
        self.lock().listeners.get(address).cloned()
    }

    /// Returns the ends of a new line: the asker's and the owner's.
    fn line(&self, from: &str, to: &str) -> [Duplex; 2] {
        let (ours, theirs) = duplex(LINE_LEN);
        let end = |stream| {
            End(Arc::new(Mutex::new(Pipe {
                stream: Some(stream),
                left: usize::MAX,
                written: 0,
                is_frozen: false,
            })))
        };
        let line = Line([end(ours), end(theirs)]);
        self.lock().lines.insert((from.to_owned(), to.to_owned()), line.clone());
        line.0.map(|end| Duplex::from(Box::new(Held(end)) as Box<dyn Carries>))
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap()
    }
}

impl Way for Door {
    fn dial<'w>(
        &'w self,
        address: &'w str,
        tag: Tag,
        _refused: &'w Throttle,
    ) -> BoxFuture<'w, Result<(Duplex, Greeting), Unreached>> {
        self.net.lock().dials.push((Instant::now(), self.address.clone(), address.to_owned()));
        async move {
            let Some(listener) = self.net.listener(address) else { return Err(Unreached::Absent) };
            if listener.is_silent {
                // The clock is paused.
                sleep(CONNECT_TIMEOUT).await;
                return Err(Unreached::Silent);
            }
            let site = listener.site;
            if site.node.tag != tag {
                return Err(Unreached::Refused);
            }
            let [ours, theirs] = self.net.line(&self.address, address);
            site.accept(self.greeting(), theirs);
            Ok((ours, site.greeting()))
        }
        .boxed()
    }

    fn greet<'w>(&'w self, address: &'w str) -> BoxFuture<'w, Option<Greeting>> {
        async move {
            let Listener { site, is_silent } = self.net.listener(address)?;
            if is_silent {
                return None;
            }
            site.cluster.greeted_by_twin(&self.greeting());
            Some(site.greeting())
        }
        .boxed()
    }
}

impl Door {
    fn greeting(&self) -> Greeting {
        greeting_of(&self.me)
    }
}

/// Returns what a node tells of itself.
pub(super) fn greeting_of(me: &Me) -> Greeting {
    let mut headers = http::HeaderMap::new();
    me.write(&mut headers);
    Greeting::read(&headers).unwrap()
}

/// One end of a line that is cut once this end has written so much: the other side reads as far as that.
#[derive(Clone, Debug)]
struct End(Arc<Mutex<Pipe>>);

#[derive(Debug)]
struct Pipe {
    /// `None` once it was cut.
    stream: Option<DuplexStream>,
    left: usize,
    /// How much this end has written.
    written: usize,
    /// Whether this end reads and writes no more.
    is_frozen: bool,
}

impl End {
    fn cut(&self) {
        let _cut = self.lock().stream.take();
    }

    fn lock(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap()
    }
}

/// The node's hold of it: if the node drops it, the line is cut, unless the node is stopped.
#[derive(Debug)]
struct Held(End);

impl Drop for Held {
    fn drop(&mut self) {
        if !self.0.lock().is_frozen {
            self.0.cut();
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.0.lock();
        if pipe.is_frozen {
            return Poll::Pending;
        }
        match &mut pipe.stream {
            Some(stream) => Pin::new(stream).poll_read(cx, buf),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Held {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.0.lock();
        if pipe.is_frozen {
            return Poll::Pending;
        }
        if pipe.left == 0 {
            pipe.stream = None;
        }
        let left = pipe.left;
        let Some(stream) = &mut pipe.stream else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let written = Pin::new(stream).poll_write(cx, &buf[..buf.len().min(left)]);
        if let Poll::Ready(Ok(len)) = written {
            pipe.left -= len;
            pipe.written += len;
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.cut();
        Poll::Ready(Ok(()))
    }
}

/// What a line holds of each direction.
const LINE_LEN: usize = 8 << 10;
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
