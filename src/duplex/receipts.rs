//! Receipts for written bytes: a receipt is attached to the last of them.
//!
//! A receipt is settled in two steps: the stream has taken the last of its bytes, and has then completed a flush. The
//! first step alone says little: HTTP/2 copies short pieces into a buffer of its own, and TLS keeps what it has taken
//! until the socket has room. After both, the kernel of this host has the bytes. Any failure before that drops the
//! receipt, which then reports a loss.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::Response;
use http_body::Body as _;
use http_body_util::Full;

use crate::budget::Charge;
use crate::shared_headers::SharedHeaders;

/// Learns what happened to the bytes that it has handed over.
pub trait Settle: Send + Sync {
    /// Reports that the kernel of this host has all of them.
    fn settled(&self, number: u32);

    /// Reports that some of them may never have been written.
    fn lost(&self, number: u32);
}

/// A promise to report what happened to some bytes. If it is dropped before it is settled, it reports a loss.
pub struct Receipt {
    to: Arc<dyn Settle>,
    number: u32,
    is_settled: bool,
}

impl Receipt {
    /// Creates a receipt for what `to` knows by this number.
    pub fn new(to: Arc<dyn Settle>, number: u32) -> Self {
        Self { to, number, is_settled: false }
    }

    /// Settles the receipt: the kernel has the bytes.
    pub fn settle(mut self) {
        self.is_settled = true;
        self.to.settled(self.number);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.is_settled {
            self.to.lost(self.number);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.number)
    }
}

/// A body that may carry receipts.
pub trait Receipted {
    /// Tells the body which connection will carry it, before it is polled.
    fn set_connection(&mut self, _unflushed: &Unflushed) {}

    /// Returns whether it is sent in parts as they come, of unknown length and without trailers.
    fn is_stream(&self) -> bool {
        false
    }

    /// Returns whether all of the body is there.
    fn is_whole(&self) -> bool {
        false
    }

    /// Takes all of it, with its receipt, if it is there.
    fn take_whole(&mut self) -> Option<(Bytes, Option<Receipt>)> {
        None
    }

    /// Returns the headers that it brings for its response, besides the response's own.
    fn headers(&self) -> Option<&SharedHeaders> {
        None
    }

    /// Takes these headers.
    fn take_headers(&mut self) -> Option<SharedHeaders> {
        None
    }
}

/// Prepares a response for hyper, on this connection.
pub fn give_to_hyper(response: &mut Response<impl Receipted>, connection: &Unflushed) {
    settle_headers(response);
    response.body_mut().set_connection(connection);
}

/// Gives a response the headers that its body brings, unless these are written as they are.
pub fn settle_headers(response: &mut Response<impl Receipted>) {
    if let Some(shared) = response.body_mut().take_headers() {
        response.headers_mut().extend(shared.into_map());
    }
}

impl Receipted for Full<Bytes> {
    fn is_whole(&self) -> bool {
        true
    }

    fn take_whole(&mut self) -> Option<(Bytes, Option<Receipt>)> {
        let frame = Pin::new(self).poll_frame(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(frame) = frame else { return None };
        let bytes = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
        Some((bytes.unwrap_or_default(), None))
    }
}

/// Bytes of a body, with their receipt, if any.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    receipt: Option<(Receipt, Option<Unflushed>)>,
    /// Counts them until they are taken, if nothing else does.
    charge: Option<Charge>,
}

impl Piece {
    /// Returns bytes with a receipt, to be written to a connection; without a connection, the receipt is settled when
    /// the last byte is taken.
    pub fn with_receipt(bytes: Bytes, receipt: Receipt, connection: Option<Unflushed>) -> Self {
        let mut piece = Self { bytes, receipt: Some((receipt, connection)), charge: None };
        // Nobody takes the last byte of no bytes.
        piece.note_taken();
        piece
    }

    /// Returns bytes that are counted until they are taken, however many pieces a connection takes ahead of its client.
    pub fn charged(bytes: Bytes, mut charge: Charge) -> Self {
        charge.set(bytes.len());
        Self { bytes, receipt: None, charge: Some(charge) }
    }

    /// Returns the bytes and the receipt of a piece that no connection has begun to write.
    pub fn into_parts(mut self) -> (Bytes, Option<Receipt>) {
        (std::mem::take(&mut self.bytes), self.receipt.take().map(|(receipt, _)| receipt))
    }

    fn note_taken(&mut self) {
        if self.bytes.is_empty()
            && let Some((receipt, connection)) = self.receipt.take()
        {
            match connection {
                Some(connection) => connection.await_flush(receipt),
                None => receipt.settle(),
            }
        }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, receipt: None, charge: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(charge) = &mut self.charge {
            charge.set(self.bytes.len());
        }
        self.note_taken();
    }
}

/// What is on its way out of a connection: whether a response's body is, whether anything was written since the last flush,
/// and the receipts.
#[derive(Clone, Default, Debug)]
pub struct Unflushed(Arc<State>);

#[derive(Default, Debug)]
struct State {
    /// [`BYTES`], [`RECEIPTS`] and [`BODY`]. Only one task changes it, so it is loaded and stored and never locked.
    waits: AtomicU8,
    receipts: Mutex<Waiting>,
}

/// Usually one: the second needs a client that sends its next request before its response is written.
#[derive(Default, Debug)]
struct Waiting {
    first: Option<Receipt>,
    more: Vec<Receipt>,
}

impl Unflushed {
    /// Returns whether anything has not been flushed.
    pub fn get(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed) & BYTES != 0
    }

    /// Returns whether nothing is on its way: no body, and everything that was written is flushed.
    pub fn is_done(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed) & (BYTES | BODY) == 0
    }

    /// Notes that the connection carries a response's body, until what is returned is dropped with it.
    pub fn carry(&self) -> Carrying {
        self.note(BODY);
        Carrying(self.clone())
    }

    /// Notes that something was written.
    pub(super) fn set(&self) {
        self.note(BYTES);
    }

    /// Notes that the kernel has everything that was written.
    pub(super) fn clear(&self) {
        let waited = self.0.waits.load(Ordering::Relaxed);
        self.0.waits.store(waited & BODY, Ordering::Relaxed);
        // Most responses have none: then nothing is locked.
        if waited & RECEIPTS == 0 {
            return;
        }
        let Waiting { first, more } = std::mem::take(&mut *self.receipts());
        // Without the lock: settling may write to any connection.
        first.into_iter().chain(more).for_each(Receipt::settle);
    }

    /// Takes a receipt whose last byte was taken; a flush follows.
    fn await_flush(&self, receipt: Receipt) {
        self.note(RECEIPTS);
        let mut waiting = self.receipts();
        if waiting.first.is_none() {
            waiting.first = Some(receipt);
        } else {
            waiting.more.push(receipt);
        }
    }

    fn note(&self, what: u8) {
        self.0.waits.store(self.0.waits.load(Ordering::Relaxed) | what, Ordering::Relaxed);
    }

    fn receipts(&self) -> MutexGuard<'_, Waiting> {
        self.0.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const BYTES: u8 = 1;
const RECEIPTS: u8 = 2;
const BODY: u8 = 4;

/// Lives as long as the body of a response that a connection carries.
#[derive(Debug)]
pub struct Carrying(Unflushed);

impl Drop for Carrying {
    fn drop(&mut self) {
        let State { waits, .. } = &*self.0.0;
        waits.store(waits.load(Ordering::Relaxed) & !BODY, Ordering::Relaxed);
    }
}
