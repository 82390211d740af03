//! The requests on one connection between two nodes, which their tasks and the connection's [pump](super::pump) share.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::time::{Duration, Instant};

use super::request::{LetGo, Request, Stop, Stopped, wait};
use crate::duplex::Receipt;
use crate::meter::Traffic;
use crate::peer::{Content, Frame, Head, Load, Number, WINDOW};
use crate::sid::Node;

/// One connection's requests. All share one lock, under which nothing waits.
pub(super) struct Channel {
    /// The node on the other side.
    pub(super) node: Node,
    pub(super) side: Side,
    pub(super) traffic: Traffic,
    /// Whether the node on the other side takes what this one has read in a request.
    pub(super) takes_read: bool,
    state: Mutex<State>,
}

/// Which end of the connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Asker,
    Owner,
}

pub(super) struct State {
    pub(super) requests: HashMap<Number, Request, foldhash::fast::RandomState>,
    pub(super) next: Number,
    /// Frames without a body, which go first.
    pub(super) control: BytesMut,
    /// The requests that have something of a body to send, each once.
    pub(super) turns: VecDeque<Number>,
    pub(super) pump: Waker,
    pub(super) told: Told,
    pub(super) is_over: bool,
    /// At an asker: whether this process stops, so that a request that is dropped says nothing of its client.
    is_mute: bool,
}

/// What the other node has told of itself on this connection.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Told {
    pub(super) load: Option<Load>,
    /// When it was asked, if it has not answered since.
    pub(super) asked: Option<Instant>,
    pub(super) round_trip: Option<Duration>,
    pub(super) is_leaving: bool,
}

impl Channel {
    pub(super) fn new(side: Side, node: Node, traffic: Traffic) -> Self {
        let state = State {
            requests: HashMap::default(),
            next: Number::FIRST,
            control: BytesMut::new(),
            turns: VecDeque::new(),
            pump: Waker::noop().clone(),
            told: Told::default(),
            is_over: false,
            is_mute: false,
        };
        Self { node, side, traffic, takes_read: false, state: Mutex::new(state) }
    }

    /// Creates the asker's end of a connection. `takes_read` is what the owner has told of itself.
    pub(super) fn to_owner(node: Node, traffic: Traffic, takes_read: bool) -> Self {
        Self { takes_read, ..Self::new(Side::Asker, node, traffic) }
    }

    /// Begins a request, whose header `write` writes; `None` if the connection is over. `pieces` is the length of its body, if
    /// that is known and follows in pieces.
    pub(super) fn ask(
        &self,
        pieces: Option<u64>,
        write: impl FnOnce(&mut BytesMut, Number),
    ) -> Option<Number> {
        let mut state = self.lock();
        if state.is_over {
            return None;
        }
        let State { requests, next, control, pump, .. } = &mut *state;
        // Numbers come again on a busy connection, and a stream of an early one may still be there.
        let (number, entry) = loop {
            let number = *next;
            *next = number.following();
            if let Entry::Vacant(entry) = requests.entry(number) {
                break (number, entry);
            }
        };
        write(control, number);
        let request = entry.insert(Request::default());
        if let Some(len) = pieces {
            request.sending.expect(len);
        }
        pump.wake_by_ref();
        Some(number)
    }

    /// Writes the header of a response whose body follows in pieces, of this length if it is known. `write` returns whether
    /// it fits; without it, the request is over.
    pub(super) fn write_head(
        &self,
        number: Number,
        len: Option<u64>,
        write: impl FnOnce(&mut BytesMut) -> bool,
    ) {
        let mut state = self.lock();
        let State { requests, control, pump, .. } = &mut *state;
        let Some(request) = requests.get_mut(&number) else { return };
        pump.wake_by_ref();
        if write(control) {
            if let Some(len) = len {
                request.sending.expect(len);
            }
        } else {
            requests.remove(&number);
        }
    }

    /// Writes a whole response. If its body has a receipt, the request is over once that is settled, otherwise at once.
    pub(super) fn write_whole(
        &self,
        number: Number,
        awaited: Option<(usize, Receipt)>,
        write: impl FnOnce(&mut BytesMut) -> bool,
    ) {
        let mut state = self.lock();
        let State { requests, control, pump, .. } = &mut *state;
        // What is not needed any more is dropped without the lock: what it reports may lead back here.
        let mut lost = awaited;
        let mut over = None;
        if let Some(request) = requests.get_mut(&number) {
            pump.wake_by_ref();
            match write(control).then(|| lost.take()).flatten() {
                Some((len, receipt)) => request.sending.sent_whole(len, receipt),
                None => over = requests.remove(&number),
            }
        }
        drop(state);
        drop((over, lost));
    }

    /// Polls for the header of the response. If nothing follows it, the request is over, but for a `TOOK` that is awaited.
    pub(super) fn poll_head(&self, number: Number, cx: &Context<'_>) -> Poll<Result<Box<Head>, Stopped>> {
        let mut state = self.lock();
        let polled = state.poll(number, |request| match request.head.take() {
            Some(head) => {
                request.is_let_go = !matches!(head.content, Content::Pieces(_));
                Poll::Ready(head)
            }
            None => wait(&mut request.reader, cx),
        });
        if let Poll::Ready(Ok(head)) = &polled
            && matches!(head.content, Content::Nothing | Content::Whole(_))
        {
            state.requests.remove(&number);
        }
        polled
    }

    /// Polls for the next piece of the body that comes in; `None` is its end.
    pub(super) fn poll_piece(
        &self,
        number: Number,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Stopped>> {
        self.lock().poll(number, |request| match request.receiving.pop() {
            Some(piece) => Poll::Ready(Some(piece)),
            None if request.receiving.has_ended() => Poll::Ready(None),
            None => wait(&mut request.reader, cx),
        })
    }

    /// Pending for as long as the request goes on, but for one time if the asker wants a response now.
    pub(super) fn poll_news(&self, number: Number, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        self.lock().poll(number, |request| {
            if std::mem::take(&mut request.is_released) {
                Poll::Ready(())
            } else {
                wait(&mut request.watcher, cx)
            }
        })
    }

    /// Puts back what was not read of a piece.
    pub(super) fn put_back(&self, number: Number, rest: Bytes) {
        if let Some(request) = self.lock().requests.get_mut(&number) {
            request.receiving.put_back(rest);
        }
    }

    /// Notes that so many more bytes of what came in have gone on; the other node learns of it once they are `enough`.
    pub(super) fn took(&self, number: Number, count: u64, enough: u64) {
        let mut state = self.lock();
        let State { requests, control, pump, .. } = &mut *state;
        let Some(request) = requests.get_mut(&number) else { return };
        request.receiving.take(count);
        request.count(&self.traffic);
        if let Some(count) = request.receiving.tell(enough) {
            Frame::Took(number, count).write(control);
            pump.wake_by_ref();
        }
        if request.is_over() {
            requests.remove(&number);
        }
    }

    /// Notes that nobody here reads on.
    pub(super) fn let_go(&self, number: Number) {
        let mut state = self.lock();
        let Some(request) = state.requests.get_mut(&number) else { return };
        request.is_let_go = true;
        if request.is_over() {
            state.requests.remove(&number);
        }
    }

    /// Polls until all of the outgoing body has been sent, so that there is room for more.
    pub(super) fn poll_room(&self, number: Number, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        let mut state = self.lock();
        let stopped = if state.is_over { Stopped::Broken } else { Stopped::Told };
        match state.requests.get_mut(&number) {
            Some(request) if request.is_stopped => Poll::Ready(Err(stopped)),
            None => Poll::Ready(Err(stopped)),
            // Behind the end there is always room for nothing.
            Some(request) if request.sending.wants_more() || request.sending.has_ended() => {
                Poll::Ready(Ok(()))
            }
            Some(request) => wait(&mut request.writer, cx),
        }
    }

    /// Adds a piece to the outgoing body.
    pub(super) fn send(&self, number: Number, bytes: Bytes, receipt: Option<Receipt>) {
        // Neither is settled or dropped under the lock: what a receipt reports may lead back here.
        let (mut refused, mut settled) = (receipt, None);
        self.change(number, |request| settled = request.sending.push(bytes, refused.take()));
        drop(refused);
        settled.into_iter().for_each(Receipt::settle);
    }

    /// Notes that the outgoing body is complete.
    pub(super) fn end(&self, number: Number) {
        self.change(number, |request| request.sending.end());
    }

    fn change(&self, number: Number, change: impl FnOnce(&mut Request)) {
        let mut state = self.lock();
        let Some(request) = state.requests.get_mut(&number) else { return };
        change(request);
        request.count(&self.traffic);
        state.take_turn(number);
        state.pump.wake_by_ref();
    }

    /// Forgets a request of which nothing more will come.
    pub(super) fn forget(&self, number: Number) {
        drop(self.lock().requests.remove(&number));
    }

    /// Stops a request, if it is not over, and tells the other node. Its receipts report a loss.
    pub(super) fn stop(&self, number: Number, stop: Stop) {
        let mut state = self.lock();
        let Some(request) = state.requests.remove(&number) else { return };
        if !state.is_mute {
            stop.write(number, &mut state.control);
            state.pump.wake_by_ref();
        }
        drop(state);
        drop(request);
    }

    /// Makes a request a stream.
    pub(super) fn begin_stream(&self, number: Number, let_go: Option<LetGo>) {
        let mut let_go = let_go;
        let mut is_released = false;
        if let Some(request) = self.lock().requests.get_mut(&number) {
            request.is_stream = true;
            is_released = request.is_released;
            if !is_released {
                request.let_go = let_go.take();
            }
        }
        if let Some(let_go) = let_go.filter(|_| is_released) {
            let_go();
        }
    }

    /// Returns the requests that wait at the owner, or go on there.
    pub(super) fn waiting(&self) -> Vec<Number> {
        let state = self.lock();
        let waits = |(number, request): (&Number, &Request)| (!request.is_let_go).then_some(*number);
        state.requests.iter().filter_map(waits).collect()
    }

    /// Has a request answered now that is not over.
    pub(super) fn release(&self, number: Number) {
        let mut state = self.lock();
        if state.requests.contains_key(&number) {
            Frame::Release(number).write(&mut state.control);
            state.pump.wake_by_ref();
        }
    }

    /// Tells the other node something that belongs to no request.
    pub(super) fn tell(&self, frame: &Frame) {
        let mut state = self.lock();
        frame.write(&mut state.control);
        state.pump.wake_by_ref();
    }

    /// From now on, a request that is dropped says nothing of its client.
    pub(super) fn fall_mute(&self) {
        self.lock().is_mute = true;
    }

    /// Ends a stream once everything was sent that was written to it.
    pub(super) fn part(&self, number: Number, stop: Stop) {
        let mut state = self.lock();
        let Some(request) = state.requests.get_mut(&number) else { return };
        if request.sending.is_pending() && !request.is_stopped {
            request.parting = Some(stop);
            return;
        }
        drop(state);
        self.stop(number, stop);
    }

    /// Returns how many requests there are.
    pub(super) fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Returns what the other node has told of itself.
    pub(super) fn told(&self) -> Told {
        self.lock().told
    }

    /// Returns whether the connection has ended.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Polls what waits for something to come in.
    fn poll<T>(
        &mut self,
        number: Number,
        poll: impl FnOnce(&mut Request) -> Poll<T>,
    ) -> Poll<Result<T, Stopped>> {
        let stopped = if self.is_over { Stopped::Broken } else { Stopped::Told };
        let Some(request) = self.requests.get_mut(&number) else { return Poll::Ready(Err(stopped)) };
        // What had come before the request was stopped is still read.
        match poll(request) {
            Poll::Ready(ready) => Poll::Ready(Ok(ready)),
            Poll::Pending if request.is_stopped => Poll::Ready(Err(stopped)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Gives a request its turn to send, if it has something to send.
    pub(super) fn take_turn(&mut self, number: Number) {
        if let Some(request) = self.requests.get_mut(&number)
            && !request.in_turn
            && request.sending.is_ready()
        {
            request.in_turn = true;
            self.turns.push_back(number);
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("node", &self.node).field("side", &self.side).finish_non_exhaustive()
    }
}

/// How much of a request's body goes on before the asker is told: it waits for nothing but room.
pub(super) const ENOUGH: u64 = WINDOW / 2;

#[cfg(test)]
mod tests;
