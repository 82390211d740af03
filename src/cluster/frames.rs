//! What the [pump](super::pump) does with a channel: frames come in, and go out.

use std::collections::hash_map::Entry;
use std::task::{Context, Waker};

use bytes::BytesMut;
use tokio::time::Instant;

use super::channel::{Channel, Side, State};
use super::request::Request;
use crate::duplex::Receipt;
use crate::peer::{Ask, Content, Frame, Load, Number, Sent, Violation};

impl Channel {
    /// Has the pump woken when there is something to write.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.lock().pump.clone_from(cx.waker());
    }

    /// Lets requests add frames without waking the pump, which comes back by itself and registers again.
    pub(super) fn suppress_wakes(&self) {
        self.lock().pump.clone_from(Waker::noop());
    }

    /// Asks the other node whether it is there.
    pub(super) fn ping(&self, now: Instant) {
        let mut state = self.lock();
        state.told.asked = Some(now);
        Frame::Ping.write(&mut state.control);
        state.pump.wake_by_ref();
    }

    /// Moves what is to be sent to `out`: requests in turn, a piece each.
    pub(super) fn fill(&self, out: &mut BytesMut) {
        let mut state = self.lock();
        let State { requests, control, turns, .. } = &mut *state;
        if out.is_empty() {
            std::mem::swap(out, control);
        } else {
            out.extend_from_slice(control);
            control.clear();
        }
        while out.len() < OUT_LEN
            && let Some(number) = turns.pop_front()
        {
            let Some(request) = requests.get_mut(&number) else { continue };
            request.in_turn = false;
            match request.sending.pop() {
                Some(Sent::Piece(bytes)) => Frame::Body(number, bytes).write(out),
                Some(Sent::End) => Frame::End(number).write(out),
                None => {}
            }
            request.count(&self.traffic);
            if request.sending.wants_more()
                && let Some(writer) = request.writer.take()
            {
                writer.wake();
            }
            if request.sending.is_ready() {
                request.in_turn = true;
                turns.push_back(number);
            } else if let Some(stop) = request.parting.filter(|_| !request.sending.is_pending()) {
                stop.write(number, out);
                requests.remove(&number);
            } else if self.side == Side::Owner && request.sending.is_over() && !request.is_stream {
                requests.remove(&number);
            }
        }
    }

    /// Handles a frame; returns a request that begins with it.
    ///
    /// # Errors
    /// The other node may not say so.
    pub(super) fn handle(&self, frame: Frame, load: Load) -> Result<Option<(Number, Box<Ask>)>, Violation> {
        let mut state = self.lock();
        let mut settled = Vec::new();
        let mut stopped = None;
        let mut let_go = None;
        match (frame, self.side) {
            (Frame::Ask(number, ask), Side::Owner) => {
                let Entry::Vacant(entry) = state.requests.entry(number) else {
                    return Err(Violation("two requests of one number"));
                };
                let request = entry.insert(Request::default());
                if let Content::Pieces(Some(len)) = ask.content {
                    request.receiving.expect(len);
                }
                return Ok(Some((number, ask)));
            }
            (Frame::Head(number, head), Side::Asker) => {
                if let Some(request) = state.requests.get_mut(&number) {
                    match &head.content {
                        Content::Awaited(bytes) => request.receiving.read_whole(bytes.len()),
                        Content::Pieces(Some(len)) => request.receiving.expect(*len),
                        Content::Nothing | Content::Whole(_) | Content::Pieces(None) => {}
                    }
                    request.count(&self.traffic);
                    request.head = Some(head);
                    request.wake_reader();
                }
            }
            (Frame::Body(number, bytes), _) => {
                if let Some(request) = state.requests.get_mut(&number) {
                    request.receiving.push(bytes)?;
                    request.count(&self.traffic);
                    request.wake_reader();
                }
            }
            (Frame::End(number), _) => {
                if let Some(request) = state.requests.get_mut(&number) {
                    request.receiving.end();
                    request.wake_reader();
                    if request.is_over() {
                        state.requests.remove(&number);
                    }
                }
            }
            (Frame::Took(number, count), side) => {
                if let Some(request) = state.requests.get_mut(&number) {
                    settled = request.sending.took(count)?;
                    if side == Side::Owner && request.sending.is_over() && !request.is_stream {
                        stopped = state.requests.remove(&number);
                    } else {
                        state.take_turn(number);
                        state.pump.wake_by_ref();
                    }
                }
            }
            (Frame::Gone(number), Side::Owner)
                if state.requests.get(&number).is_some_and(|request| !request.is_stream) =>
            {
                stopped = state.requests.remove(&number);
            }
            (Frame::Gone(number), Side::Owner) | (Frame::Lost(number), Side::Asker) => {
                // What came before is still read.
                if let Some(request) = state.requests.get_mut(&number) {
                    request.is_stopped = true;
                    request.wake();
                }
            }
            (Frame::Ping, _) => {
                let asked = u32::try_from(state.requests.len()).unwrap_or(u32::MAX);
                Frame::Pong(Load { asked, ..load }).write(&mut state.control);
            }
            (Frame::Pong(load), _) => {
                let told = &mut state.told;
                told.load = Some(load);
                told.round_trip = told.asked.take().map(|asked| asked.elapsed()).or(told.round_trip);
            }
            (Frame::Release(number), Side::Owner) => {
                if let Some(request) = state.requests.get_mut(&number) {
                    request.is_released = true;
                    let_go = request.let_go.take();
                    request.wake();
                }
            }
            (Frame::Leaving, Side::Asker) => {
                tracing::debug!(node = %self.node, "a node is about to stop");
                state.told.is_leaving = true;
            }
            (Frame::Ask(..) | Frame::Gone(_) | Frame::Release(_), Side::Asker)
            | (Frame::Head(..) | Frame::Lost(_) | Frame::Leaving, Side::Owner) => {
                return Err(Violation("a frame of the other side"));
            }
        }
        drop(state);
        // Without the lock: what they report may lead back here.
        drop(stopped);
        settled.into_iter().for_each(Receipt::settle);
        if let Some(let_go) = let_go {
            let_go();
        }
        Ok(None)
    }

    /// Ends all requests, because the connection has ended. One whose body has come in full goes on at its owner without a
    /// response: it is carried out. A whole response that has come in is still the client's, unless its owner awaits that it
    /// is taken: then the owner takes it for lost by now.
    pub(super) fn fail(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let goes_on = |request: &Request| match self.side {
            Side::Owner => request.receiving.has_ended() && !request.receiving.is_read(),
            Side::Asker => {
                let content = request.head.as_ref().map(|head| &head.content);
                matches!(content, Some(Content::Nothing | Content::Whole(_)))
            }
        };
        let failed: Vec<_> = state.requests.extract_if(|_, request| !goes_on(request)).collect();
        for request in state.requests.values_mut() {
            request.is_stopped = true;
            request.wake();
        }
        drop(state);
        // Without the lock: what they report may lead back here.
        drop(failed);
    }
}

/// How much is written at once.
const OUT_LEN: usize = 64 << 10;
