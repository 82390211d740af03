//! A link and a client's socket in memory, whose readiness the test controls, on its paused clock.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::dice::Dice;
use crate::bridge::{ClientSocket, SocketBroken, SocketEnd};
use crate::end::End;
use crate::packet::{Closing, Message, Packet};
use crate::upstream::{Link, LinkError, LinkEvent};

/// A wire to a backend.
pub(super) type LinkWire = TestEnd<LinkEvent, Message>;
/// A wire to a client.
pub(super) type SocketWire = TestEnd<Result<Packet, SocketEnd>, Packet>;

/// The end that the test holds.
pub(super) struct TestEnd<I, O>(Arc<Shared<I, O>>);

/// The end that the bridge holds.
pub(super) struct BridgeEnd<I, O>(Arc<Shared<I, O>>);

struct Shared<I, O> {
    state: Mutex<State<I, O>>,
    news: Notify,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a thing that may be true of a wire by itself")]
struct State<I, O> {
    inbound: VecDeque<I>,
    outbound: Vec<O>,
    arrived: VecDeque<O>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    readable: bool,
    writable: bool,
    /// Nothing can be written any more.
    broken: bool,
    /// Whether `poll_ready` has been ready for the next item.
    ready: bool,
    /// Whether the last item was read.
    read_to_end: bool,
    /// The code and reason with which the bridge's end closed.
    goodbye: Option<Closing>,
    gone: bool,
    /// The next item causes a panic.
    panics: bool,
    /// Makes it pending now and then without a reason.
    stalls: Option<Dice>,
}

/// Creates both ends of a wire that is always ready.
pub(super) fn wire<I, O>() -> (TestEnd<I, O>, Box<BridgeEnd<I, O>>) {
    let state = State {
        inbound: VecDeque::new(),
        outbound: Vec::new(),
        arrived: VecDeque::new(),
        reader: None,
        writer: None,
        readable: true,
        writable: true,
        broken: false,
        ready: false,
        read_to_end: false,
        goodbye: None,
        gone: false,
        panics: false,
        stalls: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), news: Notify::new() });
    (TestEnd(Arc::clone(&shared)), Box::new(BridgeEnd(shared)))
}

impl<I, O> Shared<I, O> {
    fn lock(&self) -> MutexGuard<'_, State<I, O>> {
        self.state.lock().unwrap()
    }
}

impl<I, O> State<I, O> {
    fn set_ready(&mut self, readable: bool, writable: bool) {
        (self.readable, self.writable) = (readable, writable);
        if readable && let Some(reader) = self.reader.take() {
            reader.wake();
        }
        if writable && let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Returns whether to be pending without a reason; wakes the task at once if so.
    fn stalls_at_random(&mut self, cx: &Context<'_>) -> bool {
        let stalls_at_random = self.stalls.as_mut().is_some_and(|stalls| stalls.chance(20));
        if stalls_at_random {
            cx.waker().wake_by_ref();
        }
        stalls_at_random
    }
}

impl<I, O> TestEnd<I, O> {
    pub(super) fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub(super) fn send(&self, item: I) {
        let mut state = self.0.lock();
        state.inbound.push_back(item);
        if state.readable
            && let Some(reader) = state.reader.take()
        {
            reader.wake();
        }
    }

    /// Returns how many items the bridge's end has not read.
    pub(super) fn unread(&self) -> usize {
        self.0.lock().inbound.len()
    }

    /// Returns the next item that the bridge's end wrote and flushed, or `None` if none will follow.
    pub(super) async fn next(&self) -> Option<O> {
        loop {
            let news = self.0.news.notified();
            {
                let mut state = self.0.lock();
                if let Some(item) = state.arrived.pop_front() {
                    return Some(item);
                }
                if state.gone {
                    return None;
                }
            }
            news.await;
        }
    }

    /// Returns everything that has arrived.
    pub(super) fn arrived(&self) -> Vec<O> {
        self.0.lock().arrived.drain(..).collect()
    }

    /// Waits until the bridge's end is dropped.
    pub(super) async fn gone(&self) {
        loop {
            let news = self.0.news.notified();
            if self.is_gone() {
                return;
            }
            news.await;
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.lock().gone
    }

    pub(super) fn goodbye(&self) -> Option<Closing> {
        self.0.lock().goodbye.clone()
    }

    pub(super) fn freeze(&self) {
        self.0.lock().set_ready(false, false);
    }

    /// Makes the far end stop reading, though it still sends.
    pub(super) fn jam(&self) {
        self.0.lock().set_ready(true, false);
    }

    pub(super) fn thaw(&self) {
        self.0.lock().set_ready(true, true);
    }

    /// Makes all further writes fail.
    pub(super) fn reset(&self) {
        let mut state = self.0.lock();
        state.broken = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// Makes the next item that is written cause a panic.
    pub(super) fn panic_next(&self) {
        self.0.lock().panics = true;
    }

    /// Changes the readiness until the bridge's end is dropped.
    pub(super) async fn blow(&self, mut dice: Dice) {
        self.0.lock().stalls = Some(dice.split());
        while !self.is_gone() {
            self.0.lock().set_ready(dice.chance(60), dice.chance(60));
            tokio::time::sleep(Duration::from_millis(1) + dice.up_to_ms(4)).await;
        }
    }
}

impl<I, O> BridgeEnd<I, O> {
    fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), ()>> {
        let mut state = self.0.lock();
        if state.broken {
            return Poll::Ready(Err(()));
        }
        if state.stalls_at_random(cx) {
            return Poll::Pending;
        }
        if state.outbound.len() >= BUFFERED_MAX && !state.writable {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.ready = true;
        Poll::Ready(Ok(()))
    }

    fn start_send(&self, item: O) -> Result<(), ()> {
        let mut state = self.0.lock();
        assert!(take(&mut state.ready), "an item was sent without asking for room");
        if state.broken {
            return Err(());
        }
        if take(&mut state.panics) {
            drop(state);
            panic!("a bug");
        }
        state.outbound.push(item);
        Ok(())
    }

    fn poll_flush(&self, cx: &Context<'_>) -> Poll<Result<(), ()>> {
        let mut state = self.0.lock();
        if state.broken {
            return Poll::Ready(Err(()));
        }
        if state.stalls_at_random(cx) {
            return Poll::Pending;
        }
        if !state.writable {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = take(&mut state.outbound);
        state.arrived.extend(written);
        self.0.news.notify_waiters();
        Poll::Ready(Ok(()))
    }

    fn poll_next(&self, cx: &Context<'_>, is_last: fn(&I) -> bool) -> Poll<I> {
        let mut state = self.0.lock();
        assert!(!state.read_to_end, "it was read beyond its end");
        if state.stalls_at_random(cx) {
            return Poll::Pending;
        }
        if state.readable
            && let Some(item) = state.inbound.pop_front()
        {
            state.read_to_end = is_last(&item);
            return Poll::Ready(item);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&self, cx: &Context<'_>, closing: &Closing) -> Poll<()> {
        self.0.lock().goodbye = Some(closing.clone());
        self.poll_flush(cx).map(|_| ())
    }
}

impl<I, O> Drop for BridgeEnd<I, O> {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.news.notify_waiters();
    }
}

impl Link for BridgeEnd<LinkEvent, Message> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Self::poll_ready(self, cx).map_err(|()| LinkError)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        Self::start_send(self, message).map_err(|()| LinkError)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Self::poll_flush(self, cx).map_err(|()| LinkError)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        Self::poll_next(self, cx, |event| matches!(event, LinkEvent::Closed(_)))
    }

    fn held(&self) -> usize {
        self.0.lock().outbound.iter().map(Message::len).sum()
    }

    fn keep_alive(&mut self) {}

    fn poll_close(&mut self, cx: &mut Context<'_>, closing: &Closing) -> Poll<usize> {
        Self::poll_close(self, cx, closing).map(|()| 0)
    }
}

impl ClientSocket for BridgeEnd<Result<Packet, SocketEnd>, Packet> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        Self::poll_ready(self, cx).map_err(|()| SocketBroken)
    }

    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken> {
        Self::start_send(self, packet).map_err(|()| SocketBroken)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        Self::poll_flush(self, cx).map_err(|()| SocketBroken)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>> {
        Self::poll_next(self, cx, Result::is_err)
    }

    fn held(&self) -> usize {
        self.0.lock().outbound.iter().map(Packet::len).sum()
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _end: End, closing: &Closing) -> Poll<Option<Message>> {
        Self::poll_close(self, cx, closing).map(|()| None)
    }
}

/// How much a wire accepts before its first flush.
const BUFFERED_MAX: usize = 2;
