//! Both translators back to back: one undoes the changes of the other, for all messages, and for all interleavings of
//! the two directions.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// What happens next. A `bool` is the side: true is the client's.
#[derive(Clone, Debug)]
enum Op {
    Event {
        side: bool,
        at: usize,
        attachments: usize,
        id: Option<u8>,
        text: String,
    },
    /// This many messages of that side reach the other one.
    Deliver(bool, usize),
    Ask(usize, String),
    Answer(usize, bool),
    Leave(bool, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (side, at) = (any::<bool>(), 0..4usize);
    prop_oneof![
        8 => (side, at.clone(), 0..3usize, any::<Option<u8>>(), ".{0,9}")
            .prop_map(|(side, at, attachments, id, text)| Op::Event { side, at, attachments, id, text }),
        8 => (side, 1..4usize).prop_map(|(side, count)| Op::Deliver(side, count)),
        3 => (at.clone(), "[a-c =&+%é,]{0,6}").prop_map(|(at, value)| Op::Ask(at, value)),
        3 => (at.clone(), any::<u8>()).prop_map(|(at, luck)| Op::Answer(at, luck > 60)),
        1 => (side, at).prop_map(|(side, at)| Op::Leave(side, at)),
    ]
}

/// A client and a backend that speak the same version, with two translators between them.
struct Pair {
    /// The client's first.
    translators: [Translator; 2],
    /// Whether both ends have the old version.
    old: bool,
    asked: BTreeSet<String>,
    connected: BTreeSet<String>,
    /// By side, the backend's first: what is still to be delivered, what was sent, and what the other side received.
    queued: [VecDeque<Message>; 2],
    sent: [Vec<String>; 2],
    got: [Vec<String>; 2],
}

impl Pair {
    fn new(old: bool) -> Self {
        let (old_client, new_client) = (Translator::old_client(), Translator::new_client("eio"));
        let translators = if old { [old_client, new_client] } else { [new_client, old_client] };
        let mut pair = Self {
            translators,
            old,
            asked: BTreeSet::new(),
            connected: BTreeSet::from([String::new()]),
            queued: Default::default(),
            sent: Default::default(),
            got: Default::default(),
        };
        pair.exchange();
        if !old {
            pair.deliver(true, Message::text("0"));
        }
        pair.deliver(false, Message::text(if old { "0" } else { r#"0{"sid":"id"}"# }));
        let answer = if old { "0" } else { r#"0{"sid":"eio"}"# };
        assert_eq!(pair.got, [vec![answer.to_owned()], vec!["0".to_owned(); usize::from(!old)]]);
        pair.got = Default::default();
        pair
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Event { side, at, attachments, id, text } => {
                let namespace = NAMESPACES[at];
                if self.connected.contains(namespace) {
                    let kind = if attachments > 0 { format!("5{attachments}-") } else { "2".to_owned() };
                    let id = id.map(|id| id.to_string()).unwrap_or_default();
                    let head =
                        Message::text(format!("{kind}{namespace}{id}[\"e\",{}]", serde_json::json!(text)));
                    let rest =
                        (0..attachments).map(|at| Message::Binary(format!("{text}{at}").into_bytes().into()));
                    for message in std::iter::once(head).chain(rest) {
                        self.sent[usize::from(side)].push(told(&message));
                        self.queued[usize::from(side)].push_back(message);
                    }
                }
            }
            Op::Deliver(side, count) => {
                for _ in 0..count {
                    let Some(message) = self.queued[usize::from(side)].pop_front() else { break };
                    self.deliver(side, message);
                }
            }
            Op::Ask(at, value) => {
                let namespace = NAMESPACES[at];
                if !self.connected.contains(namespace) && self.asked.insert(namespace.to_owned()) {
                    let auth = serde_json::json!({ "token": value }).to_string();
                    let query = query::from_auth(auth.as_bytes()).expect("it is an object");
                    let name = namespace.trim_end_matches(',');
                    let ask = if self.old { format!("0{name}?{query},") } else { format!("0{name},{auth}") };
                    self.say(true, &ask, &ask);
                }
            }
            Op::Answer(at, yes) => {
                let namespace = NAMESPACES[at];
                if self.asked.remove(namespace) {
                    let name = namespace.trim_end_matches(',');
                    let (said, heard) = match (self.old, yes) {
                        (true, true) => (format!("0{name},"), format!("0{name},")),
                        (true, false) => (format!("4{name},\"no\""), format!("4{name},\"no\"")),
                        (false, true) => (
                            format!(r#"0{name},{{"sid":"x"}}"#),
                            format!(r#"0{name},{{"sid":"{name}#eio"}}"#),
                        ),
                        (false, false) => (
                            format!(r#"4{name},{{"message":"no"}}"#),
                            format!(r#"4{name},{{"message":"no"}}"#),
                        ),
                    };
                    if yes {
                        self.connected.insert(namespace.to_owned());
                    }
                    self.say(false, &said, &heard);
                }
            }
            Op::Leave(side, at) => {
                let namespace = NAMESPACES[at];
                if !namespace.is_empty() {
                    // Nobody disconnects with something in transit.
                    self.flush();
                    if self.connected.remove(namespace) {
                        let leave = format!("1{namespace}");
                        self.say(side, &leave, &leave);
                    }
                }
            }
        }
    }

    /// Sends a packet from one side, and checks what the other side receives.
    fn say(&mut self, side: bool, said: &str, heard: &str) {
        self.sent[usize::from(side)].push(heard.to_owned());
        self.queued[usize::from(side)].push_back(Message::text(said));
        self.flush();
    }

    fn flush(&mut self) {
        self.play(Op::Deliver(true, usize::MAX));
        self.play(Op::Deliver(false, usize::MAX));
    }

    fn deliver(&mut self, side: bool, message: Message) {
        if side {
            self.translators[0].handle_client(message);
        } else {
            self.translators[1].handle_backend(message);
        }
        self.exchange();
    }

    fn exchange(&mut self) {
        loop {
            let [first, second] = &mut self.translators;
            let mut moved = false;
            while let Some(out) = first.poll() {
                moved = true;
                match out {
                    Out::ToClient(message) => self.got[0].push(told(&message)),
                    Out::ToBackend(message) => second.handle_client(message),
                    Out::Root(answer) => assert!(answer.is_ok()),
                    Out::Close(fault) => unreachable!("{fault}"),
                }
            }
            while let Some(out) = second.poll() {
                moved = true;
                match out {
                    Out::ToClient(message) => first.handle_backend(message),
                    Out::ToBackend(message) => self.got[1].push(told(&message)),
                    Out::Root(answer) => assert!(answer.is_ok()),
                    Out::Close(fault) => unreachable!("{fault}"),
                }
            }
            if !moved {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn two_translators_back_to_back_change_nothing(old: bool, ops in prop::collection::vec(op(), 0..60)) {
        let mut pair = Pair::new(old);
        for op in ops {
            pair.play(op);
        }
        pair.flush();
        prop_assert_eq!(&pair.got, &pair.sent);
    }
}

/// As written in a packet; the root has no name.
const NAMESPACES: [&str; 4] = ["", "/a,", "/b,", "/a/b,"];
