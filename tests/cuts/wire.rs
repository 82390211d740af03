//! A connection whose end is the test's, and which is cut where the schedule says.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::relay::{Counts, Cut, Manner, reset};
use crate::schedule::{Hop, Schedule};

/// The connection has ended, or was cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// A connection and what came on it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Option<TcpStream>,
    /// What was received, and is not used yet.
    pub(crate) buffer: BytesMut,
    cut: Option<(Hop, Cut)>,
    passed: u64,
    /// Whether the schedule has cut it.
    pub(crate) was_cut: bool,
    schedule: Arc<Schedule>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, schedule: &Arc<Schedule>) -> Self {
        let _ = stream.set_nodelay(true);
        let (buffer, schedule) = (BytesMut::new(), Arc::clone(schedule));
        Self { stream: Some(stream), buffer, cut: None, passed: 0, was_cut: false, schedule }
    }

    pub(crate) async fn connect(address: SocketAddr, schedule: &Arc<Schedule>) -> Result<Self, Broken> {
        Ok(Self::new(TcpStream::connect(address).await.map_err(|_| Broken)?, schedule))
    }

    /// Has it cut, counted from now.
    pub(crate) fn cut_at(&mut self, hop: Hop, cut: Option<Cut>) {
        self.cut = cut.map(|cut| (hop, cut));
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.stream.is_none()
    }

    /// Writes all of it, or what comes before the cut.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let left = self.left(Counts::Sent, bytes.len());
        let stream = self.stream.as_mut().ok_or(Broken)?;
        if stream.write_all(&bytes[..left]).await.is_err() {
            self.stream = None;
            return Err(Broken);
        }
        if self.pass(Counts::Sent, left) { Err(Broken) } else { Ok(()) }
    }

    /// Waits for more. It may be dropped.
    pub(crate) async fn fill(&mut self) -> Result<(), Broken> {
        let room = self.left(Counts::Received, 16 << 10);
        if room == 0 {
            self.pass(Counts::Received, 0);
            return Err(Broken);
        }
        let stream = self.stream.as_ref().ok_or(Broken)?;
        loop {
            if stream.readable().await.is_err() {
                break;
            }
            match stream.try_read_buf(&mut (&mut self.buffer).limit(room)) {
                Ok(count @ 1..) => {
                    self.pass(Counts::Received, count);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.stream = None;
        Err(Broken)
    }

    /// Returns what is received up to a mark, which is dropped; waits for it.
    pub(crate) async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                let found = self.buffer.split_to(at).to_vec();
                self.buffer.advance(mark.len());
                return Ok(found);
            }
            self.fill().await?;
        }
    }

    fn left(&self, counts: Counts, most: usize) -> usize {
        match &self.cut {
            Some((_, cut)) if cut.counts == counts => {
                most.min(usize::try_from(cut.after - self.passed).unwrap_or(most))
            }
            Some(_) | None => most,
        }
    }

    /// Counts, and returns whether that was the cut.
    fn pass(&mut self, counts: Counts, count: usize) -> bool {
        let Some((hop, cut)) = self.cut.as_ref().filter(|(_, cut)| cut.counts == counts) else {
            return false;
        };
        self.passed += count as u64;
        if self.passed < cut.after || self.stream.is_none() {
            return false;
        }
        self.schedule.note(*hop);
        self.was_cut = true;
        if cut.manner == Manner::Reset {
            reset(self.stream.as_ref());
        }
        self.stream = None;
        true
    }
}

pub(crate) fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
