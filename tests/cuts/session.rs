//! One session as both of its ends know it: what was sent, what was taken, who was told of its end; and the judge of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::plan::{Behind, Plan};
use crate::random::Random;
use crate::socket::NO_CODE;

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To the backend.
    Up,
    /// To the client.
    Down,
}

/// One direction of a session.
#[derive(Default, Debug)]
struct Count {
    sent: u64,
    /// How many of them were in requests that were answered `ok`.
    acknowledged: u64,
    received: u64,
}

/// One end of a session.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It has not begun.
    #[default]
    Unborn,
    Open,
    /// It was told that the session has ended, or has ended it itself.
    Told(&'static str),
}

#[derive(Default, Debug)]
struct State {
    up: Count,
    down: Count,
    client: End,
    backend: End,
    faults: Vec<String>,
    /// What a reader of a fault wants to know beside it.
    notes: Vec<String>,
}

impl State {
    fn count(&mut self, way: Way) -> &mut Count {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

/// A session, known to the test's client and to its backend.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) plan: Plan,
    pub(crate) connections: AtomicU64,
    /// Whether the client's handshake was answered.
    pub(crate) begun: AtomicBool,
    pub(crate) client_was_cut: AtomicBool,
    /// Whether a process died or was restarted meanwhile.
    pub(crate) is_disturbed: AtomicBool,
    pub(crate) backend_was_cut: AtomicBool,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(id: u64, plan: Plan) -> Self {
        Self {
            id,
            plan,
            connections: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            client_was_cut: AtomicBool::new(false),
            is_disturbed: AtomicBool::new(false),
            backend_was_cut: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Returns the message of a number, from 1: its head names it, and all that follows is known from that.
    fn message(&self, way: Way, number: u64) -> String {
        let mut random = Random::of(&[self.id, way as u64, number]);
        let mut text = format!("{}.{way:?}.{number}.", self.id);
        let bits = if random.percent(1) { 15 } else { 7 };
        for _ in 0..random.spread(bits) / 8 {
            text.push_str(
                ["12345678", "\"quotes\"", "\\x\\y\\z\\", "\u{e9}\u{e8}\u{ea}\u{eb}", "a b\tc/d'"]
                    [usize::try_from(random.below(5)).expect("below 5")],
            );
        }
        text
    }

    /// Returns the next messages of a burst, at most so many.
    pub(crate) fn next(&self, way: Way, most: u64) -> Vec<String> {
        let mut state = self.state();
        let count = state.count(way);
        let first = count.sent + 1;
        count.sent = self.plan.messages(way).min(count.sent + most);
        let last = count.sent;
        drop(state);
        (first..=last).map(|number| self.message(way, number)).collect()
    }

    /// Notes that requests with all messages up to here were answered `ok`.
    pub(crate) fn acknowledge(&self, way: Way, until: u64) {
        let mut state = self.state();
        let count = state.count(way);
        count.acknowledged = count.acknowledged.max(until);
    }

    /// Takes a message, which must be the next one.
    pub(crate) fn receive(&self, way: Way, text: &str) {
        let mut state = self.state();
        let received = state.count(way).received;
        if text == self.message(way, received + 1) {
            state.count(way).received += 1;
            return;
        }
        let mut head = text.split('.');
        let whose = head.next().and_then(|id| id.parse::<u64>().ok());
        let number = head.nth(1).and_then(|number| number.parse::<u64>().ok());
        let what = match number {
            _ if whose != Some(self.id) => "foreign",
            None => "unreadable",
            Some(number) if text != self.message(way, number) => "changed",
            Some(number) if number <= received => "duplicated or reordered",
            Some(_) => "lost",
        };
        if let Some(number) = number {
            // What follows is judged by itself.
            let count = state.count(way);
            count.received = count.received.max(number);
        }
        let start: String = text.chars().take(40).collect();
        state.faults.push(format!("{what}: {way:?} {start:?} behind {received}"));
    }

    pub(crate) fn sent(&self, way: Way) -> u64 {
        self.state().count(way).sent
    }

    /// Returns whether everything has arrived at both ends.
    pub(crate) fn is_complete(&self) -> bool {
        let state = self.state();
        state.up.received >= self.plan.up && state.down.received >= self.plan.down
    }

    pub(crate) fn client_is(&self, end: End) {
        self.state().client = end;
    }

    pub(crate) fn backend_is(&self, end: End) {
        self.state().backend = end;
    }

    pub(crate) fn backend(&self) -> End {
        self.state().backend.clone()
    }

    /// Has the backend begin again with the session, if it may be asked for it twice. Returns whether it does.
    ///
    /// It may if a process has died between the backend's answer and the client: the proxy in front of a shared connection,
    /// which has got no answer, asks again (`docs/mux.md`, "Resume"). The backend knows by then that its first connection has
    /// ended, and the client knows of neither.
    pub(crate) fn begins_again(&self) -> bool {
        let has_died = self.plan.behind == Behind::Shared && self.is_disturbed.load(Ordering::Relaxed);
        let mut state = self.state();
        let is_known = self.begun.load(Ordering::Relaxed) || state.up.sent > 0 || state.down.received > 0;
        let begins_again = has_died && !is_known && matches!(state.backend, End::Told(_));
        if begins_again {
            // What was sent to nobody is sent again.
            (state.down, state.backend) = (Count::default(), End::Unborn);
        }
        begins_again
    }

    pub(crate) fn note(&self, text: String) {
        self.state().notes.push(text);
    }

    pub(crate) fn fault(&self, text: String) {
        self.state().faults.push(text);
    }

    /// Judges the session, whose ends have both ended or had their time.
    pub(crate) fn judge(&self) -> Verdict {
        let mut state = self.state();
        let (client, backend) = (state.client.clone(), state.backend.clone());
        let mut faults = std::mem::take(&mut state.faults);
        let missing = Missing {
            up: state.up.sent - state.up.received.min(state.up.sent),
            down: state.down.sent - state.down.received.min(state.down.sent),
        };
        if backend == End::Open {
            faults.push("the backend was not told of the end".to_owned());
        }
        if client == End::Open {
            faults.push("the client was not told of the end".to_owned());
        }
        let is_complete = state.up.received >= self.plan.up && state.down.received >= self.plan.down;
        let is_calm = !self.is_disturbed.load(Ordering::Relaxed);
        let (client_was_cut, backend_was_cut) =
            (self.client_was_cut.load(Ordering::Relaxed), self.backend_was_cut.load(Ordering::Relaxed));
        // An answered POST has been taken by the backend's connection; a shared one that is lost for good loses what it has taken.
        let is_lost = self.plan.behind == Behind::Shared && backend == End::Told(NO_CODE);
        if state.up.received < state.up.acknowledged && !backend_was_cut && !is_lost && is_calm {
            faults.push(format!(
                "only {} of {} acknowledged messages arrived",
                state.up.received, state.up.acknowledged
            ));
        }
        // Connections between proxies are cut all the time: a shared one resumes, and a client that acknowledges asks again.
        let begun = self.begun.load(Ordering::Relaxed);
        let is_untouched = is_calm && !client_was_cut && !backend_was_cut && !self.plan.is_foreign;
        if !begun && is_untouched && self.plan.behind != Behind::Shared {
            faults.push("a handshake failed without a cut".to_owned());
        }
        let survives = is_calm
            && begun
            && !backend_was_cut
            && (self.plan.kind.acknowledges() || (!client_was_cut && !self.plan.is_foreign));
        if survives && !is_complete {
            faults.push("it ended without a cut".to_owned());
        }
        if !faults.is_empty() {
            faults.push(format!(
                "{:?}; client {client:?}, cut {client_was_cut}; backend {backend:?}, cut {backend_was_cut}; up {:?}, down {:?}; {}",
                self.plan, state.up, state.down, state.notes.join(", ")
            ));
        }
        Verdict { is_complete, up: state.up.received, down: state.down.received, missing, faults }
    }
}

/// What became of a session.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) is_complete: bool,
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) missing: Missing,
    pub(crate) faults: Vec<String>,
}

/// Messages at the tail of a session that ended, each known to be missing by the end that waited for it.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

#[cfg(test)]
mod tests {
    use super::{End, Session, Way};
    use crate::plan::{Behind, Plan};

    /// Returns a session in which both sides have sent three messages, and which has ended for both.
    fn ended() -> (Session, Vec<String>) {
        let session = Session::new(7, Plan::new(1, 7));
        session.client_begins();
        session.backend_is(End::Told("a test"));
        session.client_is(End::Told("a test"));
        session.client_was_cut.store(true, super::Ordering::Relaxed);
        session.backend_was_cut.store(true, super::Ordering::Relaxed);
        let texts = session.next(Way::Down, 3);
        (session, texts)
    }

    fn fault(session: &Session) -> String {
        session.judge().faults.first().cloned().unwrap_or_default()
    }

    #[test]
    fn a_tail_may_be_missing_where_both_ends_were_told() {
        let (session, texts) = ended();
        session.receive(Way::Down, &texts[0]);
        let verdict = session.judge();
        assert_eq!(verdict.faults, Vec::<String>::new());
        assert_eq!((verdict.down, verdict.missing.down), (1, 2));
    }

    #[test]
    fn a_gap_a_repetition_and_a_changed_message_are_faults() {
        let cases: [(&str, &[usize]); 3] =
            [("lost", &[0, 2]), ("duplicated", &[0, 1, 1]), ("duplicated or reordered", &[0, 2, 1])];
        for (name, order) in cases {
            let (session, texts) = ended();
            for index in order {
                session.receive(Way::Down, &texts[*index]);
            }
            assert!(session.judge().faults.iter().any(|fault| fault.contains(name)), "{name}");
        }
        let (session, texts) = ended();
        session.receive(Way::Down, &format!("{}!", texts[0]));
        assert!(fault(&session).starts_with("changed"));
    }

    #[test]
    fn an_end_that_was_not_told_is_a_fault() {
        let (session, _) = ended();
        session.backend_is(End::Open);
        assert_eq!(fault(&session), "the backend was not told of the end");
        let (session, _) = ended();
        session.client_is(End::Open);
        assert_eq!(fault(&session), "the client was not told of the end");
    }

    #[test]
    fn a_backend_is_asked_twice_only_where_a_process_died_before_the_client_knew() {
        let again = |behind, died: bool, begun: bool, told: bool| {
            let id = (0..100).find(|id| Plan::new(1, *id).behind == behind).expect("one of them");
            let session = Session::new(id, Plan::new(1, id));
            session.backend_is(if told { End::Told("a test") } else { End::Open });
            let _ = session.next(Way::Down, 3);
            session.is_disturbed.store(died, super::Ordering::Relaxed);
            if begun {
                session.client_begins();
            }
            let again = session.begins_again();
            assert_eq!(session.sent(Way::Down), if again { 0 } else { 3 });
            again
        };
        assert!(again(Behind::Shared, true, false, true));
        assert!(!again(Behind::Own, true, false, true), "only a shared connection resumes");
        assert!(!again(Behind::Shared, false, false, true), "the proxy behind it knows what it was asked");
        assert!(!again(Behind::Shared, true, true, true), "the client has its answer");
        assert!(!again(Behind::Shared, true, false, false), "the first goes on");
    }

    #[test]
    fn an_acknowledged_message_that_has_not_arrived_is_a_fault() {
        let (session, _) = ended();
        session.backend_was_cut.store(false, super::Ordering::Relaxed);
        let _ = session.next(Way::Up, 2);
        session.acknowledge(Way::Up, 2);
        assert_eq!(fault(&session), "only 0 of 2 acknowledged messages arrived");
    }

    #[test]
    fn a_session_that_ends_without_a_cut_is_a_fault() {
        let id = (0..100).find(|id| !Plan::new(1, *id).is_foreign).expect("one of them");
        let session = Session::new(id, Plan::new(1, id));
        session.client_begins();
        session.backend_is(End::Told("a test"));
        session.client_is(End::Told("a test"));
        assert_eq!(fault(&session), "it ended without a cut");
    }
}
