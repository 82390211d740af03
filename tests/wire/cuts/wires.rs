//! The transports of every dialect over HTTP: how a client begins, receives and sends, and what it receives next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::support::feed::Feed;
use crate::support::http::{Response, head};
use crate::support::script::Kind;
use crate::support::sockjs::{self, target};
use crate::support::world::POLLING;
use crate::support::{Poller, SOON, Script, Setup, World, ms};

/// What a client does with one transport.
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    /// The method, the last part of the path (or the query), and the headers of the request that receives.
    receives: (&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// Whether the request receives one message after another.
    pub(crate) streams: bool,
    /// The last part of the path of the request that sends, and how its body carries a message.
    sends: (&'static str, fn(&str) -> String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    EngineIo,
    SockJs,
    LongPoll,
}

/// What a client receives that asks again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Received {
    Messages(Vec<String>),
    Over,
}

const EMPTY: &[(&str, &str)] = &[("Content-Length", "0")];
const FORM: fn(&str) -> String = |text| format!("d=%5B%22{text}%22%5D");
const ARRAY: fn(&str) -> String = |text| format!("[\"{text}\"]");

pub(crate) const TRANSPORTS: [Transport; 9] = [
    Transport {
        name: "polling",
        dialect: Dialect::EngineIo,
        receives: ("GET", "", &[]),
        streams: false,
        sends: ("", |text| format!("4{text}")),
    },
    Transport {
        name: "xhr",
        dialect: Dialect::SockJs,
        receives: ("POST", "xhr", EMPTY),
        streams: false,
        sends: ("xhr_send", ARRAY),
    },
    Transport {
        name: "jsonp",
        dialect: Dialect::SockJs,
        receives: ("GET", "jsonp?c=f", &[]),
        streams: false,
        sends: ("jsonp_send", FORM),
    },
    Transport {
        name: "xhr_streaming",
        dialect: Dialect::SockJs,
        receives: ("POST", "xhr_streaming", EMPTY),
        streams: true,
        sends: ("xhr_send", ARRAY),
    },
    Transport {
        name: "eventsource",
        dialect: Dialect::SockJs,
        receives: ("GET", "eventsource", &[]),
        streams: true,
        sends: ("xhr_send", ARRAY),
    },
    Transport {
        name: "htmlfile",
        dialect: Dialect::SockJs,
        receives: ("GET", "htmlfile?c=f", &[]),
        streams: true,
        sends: ("jsonp_send", FORM),
    },
    Transport {
        name: "JSON",
        dialect: Dialect::LongPoll,
        receives: ("GET", "after=0", &[]),
        streams: false,
        sends: ("", str::to_owned),
    },
    Transport {
        name: "lines",
        dialect: Dialect::LongPoll,
        receives: ("GET", "after=0", &[("Accept", "application/x-ndjson")]),
        streams: true,
        sends: ("", str::to_owned),
    },
    Transport {
        name: "events",
        dialect: Dialect::LongPoll,
        receives: ("GET", "after=0", &[("Accept", "text/event-stream")]),
        streams: true,
        sends: ("", str::to_owned),
    },
];

impl Transport {
    pub(crate) fn setup(&self) -> Setup {
        match self.dialect {
            Dialect::EngineIo => Setup::new(),
            Dialect::SockJs => sockjs::setup(""),
            Dialect::LongPoll => Setup {
                dialect: "longpoll",
                path: "/feed/",
                kind: Kind::WebSocket,
                script: Script::new(Kind::WebSocket),
                ..Setup::new()
            },
        }
    }

    /// Returns the name of a new session, whose client has been greeted.
    #[track_caller]
    pub(crate) fn begin(&self, world: &World) -> String {
        match self.dialect {
            Dialect::EngineIo => Poller::handshake(world.addr).sid,
            Dialect::SockJs => {
                static NEXT: AtomicUsize = AtomicUsize::new(1000);
                let sid = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
                sockjs::poll(world, &sid).assert(200, "o\n");
                sid
            }
            Dialect::LongPoll => Feed::begin(world.addr).url,
        }
    }

    fn target(&self, session: &str, last: &str) -> String {
        match self.dialect {
            Dialect::EngineIo => format!("{POLLING}&sid={session}"),
            Dialect::SockJs => target(session, last),
            Dialect::LongPoll => format!("{session}?{last}"),
        }
    }

    /// Returns the request that receives.
    pub(crate) fn receive(&self, session: &str) -> String {
        let (method, last, headers) = self.receives;
        head(method, &self.target(session, last), headers)
    }

    /// Returns the head and the body of the request that sends a message.
    pub(crate) fn send(&self, session: &str, text: &str) -> (String, String) {
        let (last, encode) = self.sends;
        let body = encode(text);
        let kind = if last == "jsonp_send" { "application/x-www-form-urlencoded" } else { "text/plain" };
        let headers = [("Content-Type", kind), ("Content-Length", &*body.len().to_string())];
        (head("POST", &self.target(session, last), &headers), body)
    }

    /// Returns what the client receives when it asks again, by a plain poll: all messages up to this one, or the end.
    #[track_caller]
    pub(crate) fn receive_again(&self, world: &World, session: &str, last: &str) -> Received {
        let deadline = Instant::now() + SOON;
        let mut received = Vec::new();
        while received.last().map(String::as_str) != Some(last) {
            assert!(Instant::now() < deadline, "{}: {last} does not come behind {received:?}", self.name);
            let answer = match self.dialect {
                Dialect::EngineIo => world.get(&self.target(session, "")),
                Dialect::SockJs => sockjs::poll(world, session),
                Dialect::LongPoll => {
                    // It acknowledges nothing, so each answer has everything.
                    received.clear();
                    world.get(&self.target(session, "after=0&wait=1"))
                }
            };
            match self.read(&answer) {
                Some(Received::Messages(messages)) => received.extend(messages),
                Some(Received::Over) => return Received::Over,
                // The end of the request before was not noticed yet.
                None => std::thread::sleep(ms(10)),
            }
        }
        Received::Messages(received)
    }

    fn read(&self, answer: &Response) -> Option<Received> {
        let body = answer.text();
        match self.dialect {
            Dialect::EngineIo if answer.status == 400 => Some(Received::Over),
            Dialect::EngineIo => {
                let packets: Vec<_> = body.split('\u{1e}').collect();
                let messages = packets.iter().filter_map(|packet| packet.strip_prefix('4'));
                let messages: Vec<_> = messages.map(str::to_owned).collect();
                Some(if packets.contains(&"1") { Received::Over } else { Received::Messages(messages) })
            }
            Dialect::SockJs => match body.split_at(1) {
                ("a", array) => Some(Received::Messages(serde_json::from_str(array).unwrap())),
                ("c", "[2010,\"Another connection still open\"]\n") => None,
                ("c", why) => {
                    assert_eq!(why, "[1002,\"Connection interrupted\"]\n");
                    Some(Received::Over)
                }
                // An `o` would be a ghost: a new session under the old name.
                _ => panic!("{}: {body:?}", self.name),
            },
            Dialect::LongPoll => {
                assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
                let answer: Value = serde_json::from_str(body).unwrap();
                let messages = answer["messages"].as_array().unwrap();
                let text = |message: &Value| message["text"].as_str().unwrap().to_owned();
                Some(Received::Messages(messages.iter().map(text).collect()))
            }
        }
    }
}
