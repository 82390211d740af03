//! The back side of a session, as a test plays it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::packet::{Closing, Message};
use crate::upstream::{Link, LinkError, LinkEvent};

/// The test's end.
#[derive(Clone, Default)]
pub(super) struct Backend(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What the session has not read yet.
    said: VecDeque<Message>,
    /// How many bytes of it the session has read.
    read: usize,
    heard: Vec<String>,
    is_closed: bool,
    reader: Option<Waker>,
}

impl Backend {
    pub(super) fn link(&self) -> Box<dyn Link> {
        Box::new(self.clone())
    }

    /// Sends a message to the client.
    pub(super) fn say(&self, text: &str) {
        let mut state = self.lock();
        state.said.push_back(Message::text(text.to_owned()));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes what the client has sent.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().heard)
    }

    /// Returns whether the session has closed its link.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Returns how many bytes the session has read.
    pub(super) fn read(&self) -> usize {
        self.lock().read
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Link for Backend {
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        let Message::Text(text) = message else { return Err(LinkError) };
        self.lock().heard.push(text.as_str().to_owned());
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        let mut state = self.lock();
        let Some(message) = state.said.pop_front() else {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.read += message.len();
        Poll::Ready(LinkEvent::Message(message))
    }

    fn held(&self) -> usize {
        0
    }

    fn keep_alive(&mut self) {}

    fn poll_close(&mut self, _cx: &mut Context<'_>, _closing: &Closing) -> Poll<usize> {
        let mut state = self.lock();
        state.is_closed = true;
        Poll::Ready(state.said.len())
    }
}
