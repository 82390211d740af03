//! A link whose messages are translated for each side.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::packet::{Closing, Message, Text, Transport};
use crate::socketio::{Out, Translator};
use crate::throttle::Throttle;
use crate::upstream::{Link, LinkError, LinkEvent, OpenError, socket};

/// A link and the translator in front of it. What waits here is bounded: nothing more is read from a side while the
/// other has much to take.
pub(super) struct TranslatedLink {
    inner: Box<dyn Link>,
    translator: Translator,
    to_client: VecDeque<Message>,
    to_backend: VecDeque<Message>,
    /// Waits to send until the client has taken its messages.
    blocked: Option<Waker>,
    /// Waits to read, also what the translator answers by itself.
    reader: Option<Waker>,
    /// Whether the reading side has written something to the link that may not be flushed.
    flush_due: bool,
    /// The backend's answer to the CONNECT that an old client did not send.
    root: Option<Result<Text, Text>>,
    /// Why both sides are closed, if the translation can't continue.
    parting: Option<Closing>,
    /// The log line about that.
    faults: Arc<Throttle>,
}

impl TranslatedLink {
    pub(super) fn new(inner: Box<dyn Link>, translator: Translator, faults: &Arc<Throttle>) -> Self {
        let mut link = Self {
            inner,
            translator,
            to_client: VecDeque::new(),
            to_backend: VecDeque::new(),
            blocked: None,
            reader: None,
            flush_due: false,
            root: None,
            parting: None,
            faults: Arc::clone(faults),
        };
        link.translate();
        link
    }

    /// Waits for the backend's answer for the root namespace: its socket's id, or a refusal for the client.
    pub(super) async fn root(&mut self) -> Result<Result<Text, Text>, OpenError> {
        poll_fn(|cx| self.poll_root(cx)).await
    }

    fn poll_root(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Text, Text>, OpenError>> {
        loop {
            if let Some(root) = self.root.take() {
                return Poll::Ready(Ok(root));
            }
            if let Some(closing) = &self.parting {
                return Poll::Ready(Err(OpenError::Protocol(closing.reason.as_str().to_owned())));
            }
            self.push_out(cx);
            match ready!(self.inner.poll_next(cx)) {
                LinkEvent::Message(message) => {
                    self.translator.handle_backend(message);
                    self.translate();
                }
                LinkEvent::Closed(closing) if closing == socket::LOST => {
                    return Poll::Ready(Err(OpenError::Down(std::io::ErrorKind::UnexpectedEof.into())));
                }
                LinkEvent::Stalled => {
                    return Poll::Ready(Err(OpenError::Down(std::io::ErrorKind::TimedOut.into())));
                }
                LinkEvent::Closed(_) => {
                    let fault = "it closed instead of answering for the root namespace";
                    return Poll::Ready(Err(OpenError::Protocol(fault.to_owned())));
                }
            }
        }
    }

    /// Runs the translator as far as possible without waiting.
    fn translate(&mut self) {
        while let Some(out) = self.translator.poll() {
            match out {
                Out::ToClient(message) => self.to_client.push_back(message),
                Out::ToBackend(message) => self.to_backend.push_back(message),
                Out::Root(root) => self.root = Some(root),
                Out::Close(fault) => {
                    if let Some(count) = self.faults.count() {
                        tracing::info!(reason = %fault, count, "a session can't be translated");
                    }
                    self.parting = Some(Closing {
                        code: Some(1002),
                        reason: Text::from(fault.to_string()),
                        by_packet: false,
                    });
                }
            }
        }
    }

    /// Sends the link what waits for it.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while !self.to_backend.is_empty() {
            ready!(self.inner.poll_ready(cx))?;
            if let Some(message) = self.to_backend.pop_front() {
                self.inner.start_send(message)?;
                self.flush_due = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes on behalf of the reading side, which nobody flushes for. A broken link is noticed by reading.
    fn push_out(&mut self, cx: &mut Context<'_>) {
        if self.poll_push(cx).is_ready() && self.flush_due && self.inner.poll_flush(cx).is_ready() {
            self.flush_due = false;
        }
    }
}

impl Link for TranslatedLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_push(cx))?;
        // The translator answers many requests of a client by itself.
        if self.to_client.len() >= TO_CLIENT_MAX {
            self.blocked = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.inner.poll_ready(cx)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        self.translator.handle_client(message);
        self.translate();
        // The translator's own answers, and its end, come without the backend, on which the reader waits.
        if (!self.to_client.is_empty() || self.parting.is_some())
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        // There is room for one; the rest is sent with the flush.
        match self.to_backend.pop_front() {
            Some(message) => self.inner.start_send(message),
            None => Ok(()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_push(cx))?;
        ready!(self.inner.poll_flush(cx))?;
        self.flush_due = false;
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        loop {
            if let Some(message) = self.to_client.pop_front() {
                if let Some(blocked) = self.blocked.take() {
                    blocked.wake();
                }
                return Poll::Ready(LinkEvent::Message(message));
            }
            if let Some(closing) = self.parting.take() {
                return Poll::Ready(LinkEvent::Closed(closing));
            }
            self.push_out(cx);
            let Poll::Ready(event) = self.inner.poll_next(cx) else {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            match event {
                LinkEvent::Message(message) => {
                    self.translator.handle_backend(message);
                    self.translate();
                }
                closed @ (LinkEvent::Closed(_) | LinkEvent::Stalled) => return Poll::Ready(closed),
            }
        }
    }

    fn held(&self) -> usize {
        self.inner.held() + self.to_client.iter().chain(&self.to_backend).map(Message::len).sum::<usize>()
    }

    fn shared(&self) -> usize {
        self.inner.shared()
    }

    fn set_stall_timeout(&mut self, limit: Duration) {
        self.inner.set_stall_timeout(limit);
    }

    fn keep_alive(&mut self) {
        self.inner.keep_alive();
    }

    fn handle_transport(&mut self, transport: Transport) {
        self.inner.handle_transport(transport);
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, closing: &Closing) -> Poll<usize> {
        // Accepted messages are sent first; a broken link takes no more.
        let _ = ready!(self.poll_push(cx));
        self.inner.poll_close(cx, closing)
    }
}

/// How many messages may wait for a client that keeps sending.
const TO_CLIENT_MAX: usize = 64;

impl fmt::Debug for TranslatedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TranslatedLink").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    /// A backend that accepts everything and sends what it is given.
    struct Says(VecDeque<&'static str>);

    impl Link for Says {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(&mut self, _: Message) -> Result<(), LinkError> {
            Ok(())
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
            Poll::Ready(Ok(()))
        }

        fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<LinkEvent> {
            let said = self.0.pop_front().map(|text| LinkEvent::Message(Message::text(text)));
            said.map_or(Poll::Pending, Poll::Ready)
        }

        fn held(&self) -> usize {
            0
        }

        fn keep_alive(&mut self) {}

        fn poll_close(&mut self, _: &mut Context<'_>, _: &Closing) -> Poll<usize> {
            Poll::Ready(0)
        }
    }

    #[test]
    fn an_answer_of_the_translator_wakes_the_reader_that_waits_for_the_backend() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let backend = Says([r#"0{"sid":"r"}"#, r#"0/n,{"sid":"n"}"#].into());
        let mut link = TranslatedLink::new(Box::new(backend), Translator::old_client(), &Arc::default());
        link.start_send(Message::text("0/n,")).expect("there is room");
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        while link.poll_next(&mut cx).is_ready() {}
        assert!(!woken.0.load(Ordering::Relaxed));
        link.start_send(Message::text("0/n,")).expect("there is room");
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(matches!(link.poll_next(&mut cx), Poll::Ready(LinkEvent::Message(_))));
    }

    #[test]
    fn a_client_that_takes_no_answers_is_heard_no_further() {
        let backend = Says([r#"0{"sid":"r"}"#, r#"0/n,{"sid":"n"}"#].into());
        let mut link = TranslatedLink::new(Box::new(backend), Translator::old_client(), &Arc::default());
        let mut cx = Context::from_waker(Waker::noop());
        for asked in ["0/n,", "0/n,"] {
            link.start_send(Message::text(asked)).expect("there is room");
            assert!(matches!(link.poll_next(&mut cx), Poll::Ready(LinkEvent::Message(_))));
        }
        let mut taken = 0;
        while link.poll_ready(&mut cx).is_ready() {
            link.start_send(Message::text("0/n,")).expect("there is room");
            taken += 1;
            assert!(taken < 1000, "nothing bounds it");
        }
        assert!(matches!(link.poll_next(&mut cx), Poll::Ready(LinkEvent::Message(_))));
        assert!(link.poll_ready(&mut cx).is_ready());
    }
}
