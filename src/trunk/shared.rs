//! What the sessions of one epoch share: the line, and the wakers of those that wait on it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::budget::Budget;
use crate::mux::{Accepted, ById, Denied, Event, Frame, Hello, Id, Line, Notice, Open, Side, Violation};
use crate::packet::{Closing, Message, Transport};

/// A line with its sessions' wakers. Sessions and the [pump](super::Pump) share one lock, under which nothing waits.
pub struct Trunk {
    state: Mutex<State>,
    budget: Budget,
    /// Notified when a client asks to come in, when the other side drains, and when the last session has ended.
    pub(crate) news: Notify,
}

struct State {
    line: Line,
    users: ById<User>,
    /// The pump's waker.
    waker: Waker,
    /// Which connection is the current one.
    connection: u64,
    arrivals: VecDeque<(Id, Box<Open>)>,
    greeted: bool,
    /// Within which time the other side stops, if it has said so.
    draining: Option<Duration>,
    /// Whether there will be no other connection.
    failed: bool,
    /// Whether new sessions begin elsewhere.
    retired: bool,
}

#[derive(Default)]
struct User {
    waker: Option<Waker>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// The answer to a session's `open`.
pub(crate) type Answer = Result<Box<Accepted>, Unopened>;

/// Where it comes.
pub(crate) type Answering = oneshot::Receiver<Answer>;

/// Why a session was not opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// The backend refused it.
    Denied(Box<Denied>),
    /// There will be no answer.
    Lost(Closing),
    /// The same, and the backend knows nothing of it.
    Unsent,
}

impl Trunk {
    /// Creates the sessions of a new epoch, which charge `budget` for what waits for them.
    pub fn new(side: Side, hello: Hello, budget: Budget) -> Self {
        Self {
            state: Mutex::new(State {
                line: Line::new(side, hello, budget.clone()),
                users: ById::default(),
                waker: Waker::noop().clone(),
                connection: 0,
                arrivals: VecDeque::new(),
                greeted: false,
                draining: None,
                failed: false,
                retired: false,
            }),
            budget,
            news: Notify::new(),
        }
    }

    /// Returns the budget that is charged.
    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Asks the backend to accept a client; `None` if new sessions begin elsewhere, no connection will follow, or all session
    /// numbers are used.
    pub(crate) fn open(&self, open: Open) -> Option<(Id, Answering)> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.failed || state.retired || state.draining.is_some() {
            return None;
        }
        let id = state.line.open(open)?;
        state.users.insert(id, User { waker: None, answer: Some(sender) });
        state.wake_pump();
        Some((id, receiver))
    }

    /// Returns the next client that asks to come in.
    pub fn next_arrival(&self) -> Option<(Id, Box<Open>)> {
        let mut state = self.lock();
        // The pump reads nothing while there are so many (`is_choked`), and waits for this.
        if state.arrivals.len() == ARRIVALS_MAX {
            state.wake_pump();
        }
        state.arrivals.pop_front()
    }

    /// Returns whether the other side requests more than it reads answers to.
    pub(super) fn is_choked(&self) -> bool {
        let state = self.lock();
        state.line.is_choked() || state.arrivals.len() >= ARRIVALS_MAX
    }

    /// Accepts a client.
    pub fn accept(&self, id: Id, accepted: Accepted) {
        let mut state = self.lock();
        state.line.accept(id, accepted);
        state.wake_pump();
    }

    /// Refuses a client.
    pub fn deny(&self, id: Id, denied: Denied) {
        let mut state = self.lock();
        state.line.deny(id, denied);
        state.users.remove(&id);
        state.wake_pump();
    }

    /// Returns whether a session accepts one more message.
    ///
    /// # Errors
    /// It accepts none any more; [`poll_next`](Self::poll_next) says why.
    pub fn poll_ready(&self, id: Id, cx: &Context<'_>) -> Poll<Result<(), Over>> {
        let mut state = self.lock();
        if !state.line.is_open(id) {
            return Poll::Ready(Err(Over));
        }
        if state.line.poll_room(id) {
            return Poll::Ready(Ok(()));
        }
        state.wait(id, cx);
        Poll::Pending
    }

    /// Takes a message; only after [`poll_ready`](Self::poll_ready) was ready.
    pub fn send(&self, id: Id, message: Message) {
        let mut state = self.lock();
        state.line.send(id, message);
        // A message that is too large ends its session, whose reader is woken here.
        state.dispatch(&self.news);
        state.wake_pump();
    }

    /// Polls for the next message of a session, or its end.
    pub fn poll_next(&self, id: Id, cx: &Context<'_>) -> Poll<Notice> {
        let mut state = self.lock();
        if let Some(notice) = state.line.take(id) {
            // The other side may have used its credit, and wait for nothing but this acknowledgement.
            if state.line.wants_acks() == Some(true) {
                state.wake_pump();
            }
            return Poll::Ready(notice);
        }
        state.wait(id, cx);
        Poll::Pending
    }

    /// Tells the other side that the session's client moved to another transport.
    pub(crate) fn move_to(&self, id: Id, transport: Transport) {
        let mut state = self.lock();
        state.line.move_to(id, transport);
        state.wake_pump();
    }

    /// Closes a session from this side; the other side is told why, after everything that was sent.
    pub fn close(&self, id: Id, closing: Closing) {
        let mut state = self.lock();
        // Once only: a link is closed with a reason, and closes again when it is dropped.
        if state.users.remove(&id).is_some() {
            state.line.close(id, closing);
            state.wake_pump();
            if state.users.is_empty() {
                self.news.notify_waiters();
            }
        }
    }

    /// Has no new sessions begin here any more.
    pub(crate) fn retire(&self) {
        self.lock().retired = true;
    }

    /// Announces once that there will be no new sessions.
    pub(crate) fn drain(&self, seconds: u64) {
        let mut state = self.lock();
        state.line.drain(seconds);
        state.wake_pump();
    }

    /// Returns whether the other side accepts no new sessions.
    pub(crate) fn is_draining(&self) -> bool {
        self.stops_within().is_some()
    }

    /// Returns within which time the other side stops, if it has said so.
    pub(crate) fn stops_within(&self) -> Option<Duration> {
        self.lock().draining
    }

    /// Returns how many bytes wait for a session, in both directions.
    pub fn held(&self, id: Id) -> usize {
        self.lock().line.buffered(id)
    }

    /// Returns whether no session is in use.
    pub fn is_idle(&self) -> bool {
        self.lock().users.is_empty()
    }

    /// Returns whether the other side knows of every session's end.
    pub(crate) fn is_settled(&self) -> bool {
        self.lock().line.is_empty()
    }

    /// Returns whether the other side has said hello on this connection.
    pub(crate) fn is_greeted(&self) -> bool {
        self.lock().greeted
    }

    /// Returns whether sessions outlive their connection.
    pub(crate) fn resumes(&self) -> bool {
        self.lock().line.resumes()
    }

    /// Takes over a new connection. The one before is ignored from now on.
    pub(crate) fn connect(&self) -> Connection {
        let mut state = self.lock();
        state.connection += 1;
        state.greeted = false;
        state.line.connect();
        Connection(state.connection)
    }

    /// Takes over a new connection on which the other side has already said hello.
    pub fn greet(&self, hello: Hello) -> Connection {
        let connection = self.connect();
        // A first frame can't be out of place.
        let _ = self.handle(connection, Frame::Hello(hello));
        connection
    }

    /// Handles a break of the connection; another may follow.
    pub fn disconnect(&self, connection: Connection) {
        // The connection before may break late, when another has taken its place.
        if let Some(mut state) = self.lock_for(connection) {
            state.line.disconnect();
        }
    }

    /// Ends every session: there will be no other connection.
    pub fn fail(&self, closing: &Closing) {
        let mut state = self.lock();
        // Under one lock with the end of the line, so that no `open` comes in behind it and waits forever.
        state.failed = true;
        state.line.fail(closing);
        state.dispatch(&self.news);
    }

    /// Fails the sessions whose `open` was never written.
    pub(crate) fn fail_unwritten(&self, closing: &Closing) {
        let mut state = self.lock();
        state.line.fail_unwritten(closing);
        state.dispatch(&self.news);
    }

    /// Returns whether the connection is still the current one. If so, its pump is woken for everything that is to be
    /// written.
    pub(super) fn register(&self, connection: Connection, cx: &Context<'_>) -> bool {
        let state = self.lock_for(connection);
        state.map(|mut state| state.waker.clone_from(cx.waker())).is_some()
    }

    /// Lets sessions add frames without waking the pump, which will look by itself.
    pub(super) fn suppress_wakes(&self, connection: Connection) {
        if let Some(mut state) = self.lock_for(connection) {
            state.waker.clone_from(Waker::noop());
        }
    }

    pub(super) fn handle(&self, connection: Connection, frame: Frame) -> Result<(), Violation> {
        let Some(mut state) = self.lock_for(connection) else { return Ok(()) };
        let handled = state.line.handle(frame);
        state.dispatch(&self.news);
        handled
    }

    /// Returns the next frame to write. `acks`: whether to include acknowledgements that the other side does not wait
    /// for.
    pub(super) fn next_frame(&self, connection: Connection, acks: bool) -> Option<Frame> {
        let mut state = self.lock_for(connection)?;
        // Before messages, which may continue endlessly while the other side waits for this.
        let news = if acks || state.line.wants_acks() == Some(true) { state.line.acks() } else { None };
        let frame = news.or_else(|| state.line.poll());
        state.dispatch(&self.news);
        frame
    }

    /// Returns whether acknowledgements wait to be sent together.
    pub(super) fn has_acks(&self) -> bool {
        self.lock().line.wants_acks().is_some()
    }

    pub(super) fn tidy(&self) {
        self.lock().line.tidy(Instant::now().into_std());
    }

    fn lock_for(&self, connection: Connection) -> Option<MutexGuard<'_, State>> {
        Some(self.lock()).filter(|state| state.connection == connection.0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, id: Id, cx: &Context<'_>) {
        if let Some(user) = self.users.get_mut(&id) {
            match &mut user.waker {
                // Clones nothing if it would wake the same task, which is the rule.
                Some(waker) => waker.clone_from(cx.waker()),
                none @ None => *none = Some(cx.waker().clone()),
            }
        }
    }

    fn wake_pump(&self) {
        self.waker.wake_by_ref();
    }

    fn dispatch(&mut self, news: &Notify) {
        while let Some(event) = self.line.event() {
            match event {
                Event::Readable(id) | Event::Writable(id) => {
                    if let Some(waker) = self.users.get_mut(&id).and_then(|user| user.waker.take()) {
                        waker.wake();
                    }
                }
                Event::Answered(id, answer) => self.answer(id, answer.map_err(Unopened::Denied)),
                Event::Unanswered(id, closing) => self.answer(id, Err(Unopened::Lost(closing))),
                Event::Unsent(id) => self.answer(id, Err(Unopened::Unsent)),
                Event::Asked(id, open) => {
                    self.users.insert(id, User::default());
                    self.arrivals.push_back((id, open));
                    news.notify_waiters();
                }
                Event::Hello => {
                    self.greeted = true;
                    news.notify_waiters();
                }
                Event::Drain(seconds) => {
                    self.draining = Some(Duration::from_secs(seconds));
                    news.notify_waiters();
                }
                // The demultiplexer's backends have no such notion.
                Event::Transport(..) => {}
            }
        }
    }

    fn answer(&mut self, id: Id, answer: Answer) {
        if let Some(sender) = self.users.get_mut(&id).and_then(|user| user.answer.take()) {
            // The caller has given up and closes the session.
            let _ = sender.send(answer);
        }
    }
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk").field("sessions", &self.lock().users.len()).finish_non_exhaustive()
    }
}

/// One of the successive connections of a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection(u64);

/// The session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Over;

/// How many clients may wait to be accepted: some turns of the pump.
const ARRIVALS_MAX: usize = 1024;
