//! The sockets that clients come to, as far as only a restart changes them: one that stays is not bound again, and
//! nothing is bound over it.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fault::{Faults, Place, Problem, Sink};
use super::files::table_of;
use super::listeners::Taken;
use super::tree::{self, Node};
use super::values::listen_address;
use crate::address::ListenAddress;
use crate::server::{ListenerSettings, Settings};

/// A socket that clients come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    listener: Arc<str>,
    address: ListenAddress,
    only_v6: bool,
    mode: u32,
}

/// Why a socket of the next configuration cannot be had without a restart.
#[derive(Debug)]
pub(super) struct Conflict<'c> {
    listener: &'c ListenerSettings,
    /// The place of its address among those of the listener.
    index: usize,
    with: With,
}

/// What it is in conflict with.
#[derive(Clone, PartialEq, Eq, Debug)]
enum With {
    /// It is bound with another `only_v6`.
    OnlyV6,
    /// Its file has another mode.
    Mode,
    /// Another address is bound that it cannot be bound beside.
    Overlap(ListenAddress),
}

/// Where the values of a configuration stand.
pub struct Places {
    tree: Node,
    file_name: String,
}

impl Socket {
    /// Returns those of the settings.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        settings.listeners.iter().flat_map(Self::of).collect()
    }

    fn of(listener: &ListenerSettings) -> impl Iterator<Item = Self> {
        let (only_v6, mode) = (listener.only_v6, listener.socket_mode);
        listener.sockets().map(move |name| Self {
            only_v6: only_v6 && name.address.ip().is_some_and(|address| address.is_ipv6()),
            listener: name.listener,
            address: name.address,
            mode,
        })
    }

    /// Returns it as another process reads it.
    pub(super) fn to_json(&self) -> Value {
        let Self { listener, address, only_v6, mode } = self;
        json!({
            "listener": &**listener,
            "address": address.to_string(),
            "only_v6": only_v6,
            "socket_mode": format!("{mode:04o}"),
        })
    }

    /// Reads it, unless it is of a version that says it otherwise.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let address = tree::Value::Text(value["address"].as_str()?.to_owned());
        let address = Node { place: Place::File { line: 1, column: 1 }, value: address };
        Some(Self {
            listener: value["listener"].as_str()?.into(),
            address: listen_address(&address).ok()?,
            only_v6: value["only_v6"].as_bool()?,
            mode: u32::from_str_radix(value["socket_mode"].as_str()?, 8).ok()?,
        })
    }

    /// Returns whether it stays if there is the other one next, perhaps of another listener.
    fn is_kept_as(&self, other: &Self) -> bool {
        // Of port 0 there are several.
        self.address == other.address && (!self.address.is_any() || self.listener == other.listener)
    }

    fn taken(&self) -> Taken {
        Taken { key: String::new(), address: self.address.clone(), only_v6: self.only_v6 }
    }
}

/// Returns what cannot be had beside the sockets that are bound.
pub(super) fn conflicts<'c>(bound: &[Socket], next: &'c Settings) -> Vec<Conflict<'c>> {
    let mut conflicts: Vec<Conflict<'_>> = Vec::new();
    let indexed =
        |listener: &'c ListenerSettings| (0..listener.listen.len()).map(move |index| (listener, index));
    let places = next.listeners.iter().flat_map(indexed);
    for ((listener, index), socket) in places.zip(Socket::all(next)) {
        let kept: Vec<_> = bound.iter().filter(|one| one.is_kept_as(&socket)).collect();
        let is_unix = socket.address.ip().is_none();
        let with = if kept.iter().any(|one| one.only_v6 != socket.only_v6) {
            With::OnlyV6
        } else if is_unix && kept.iter().any(|one| one.mode != socket.mode) {
            With::Mode
        } else if let Some(one) =
            bound.iter().find(|one| kept.is_empty() && one.taken().collides(&socket.taken()))
        {
            With::Overlap(one.address.clone())
        } else {
            continue;
        };
        // One key of the listener stands for all its addresses.
        let is_same = |one: &Conflict<'_>| one.listener.name == listener.name && one.with == with;
        if matches!(with, With::Overlap(_)) || !conflicts.iter().any(is_same) {
            conflicts.push(Conflict { listener, index, with });
        }
    }
    conflicts
}

impl Conflict<'_> {
    /// Reports it where the value stands that would have to change.
    pub(super) fn report(&self, tree: &Node, sink: &Sink) {
        let (table, key) = table_of(self.listener, tree);
        let address = &self.listener.listen[self.index];
        let place = |name| &table.get(name).unwrap_or(table).place;
        match &self.with {
            With::OnlyV6 if key != SERVER => {
                sink.push(place("only_v6"), format!("{key}.only_v6"), Problem::Fixed);
            }
            With::OnlyV6 => {
                let problem = format!("{address} is bound with only_v6, which changes only at a restart");
                report_address(self.listener, self.index, problem, tree, sink);
            }
            With::Mode => sink.push(place("socket_mode"), format!("{key}.socket_mode"), Problem::Fixed),
            With::Overlap(bound) => {
                let problem = format!(
                    "{address} overlaps {bound}, which is bound: that needs a restart, or an address in between"
                );
                report_address(self.listener, self.index, problem, tree, sink);
            }
        }
    }
}

/// The key of it, where nothing shows its place.
impl fmt::Display for Conflict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.with {
            With::OnlyV6 => "only_v6",
            With::Mode => "socket_mode",
            With::Overlap(_) => "listen",
        };
        write!(f, "{key} of listener {:?}", self.listener.name)
    }
}

/// Reports what is wrong with one of a listener's addresses.
fn report_address(listener: &ListenerSettings, index: usize, problem: String, tree: &Node, sink: &Sink) {
    let (table, key) = table_of(listener, tree);
    let listen = table.get("listen");
    let (place, key) = match listen.and_then(Node::items).and_then(|items| items.get(index)) {
        Some(item) => (&item.place, format!("{key}.listen[{index}]")),
        None => (&listen.unwrap_or(table).place, format!("{key}.listen")),
    };
    sink.push(place, key, Problem::Unusable(problem));
}

impl Places {
    pub(super) fn new(tree: Node, file_name: String) -> Self {
        Self { tree, file_name }
    }

    /// Returns the fault that a listener cannot have this address, which is in the settings.
    pub fn unusable(&self, settings: &Settings, address: &ListenAddress, problem: String) -> Option<Faults> {
        let index = |listener: &ListenerSettings| listener.listen.iter().position(|one| one == address);
        let found = settings.listeners.iter().find_map(|listener| Some((listener, index(listener)?)));
        let (listener, index) = found?;
        let sink = Sink::default();
        report_address(listener, index, problem, &self.tree, &sink);
        sink.into_faults(&self.file_name)
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values.
        f.debug_struct("Places").field("file_name", &self.file_name).finish_non_exhaustive()
    }
}

/// The section of the listener without a table of its own, which has no `only_v6`.
const SERVER: &str = "server";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(text: &str) -> Settings {
        let routes = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'a'\n\
                      [upstreams.a]\nkind = 'http'\nurl = 'http://127.0.0.1:3000'\n";
        Config::parse(&format!("{text}\n{routes}"), "this test", std::iter::empty()).unwrap().server
    }

    fn listening(lines: &str) -> Settings {
        settings(&format!(
            "[[listeners]]\nname = 'a'\n{lines}\n[[listeners]]\nname = 'z'\nlisten = '127.0.0.1:1'"
        ))
    }

    /// Returns what a process that runs says of itself, as another one reads it.
    fn told(settings: &Settings) -> Vec<Socket> {
        Socket::all(settings).iter().map(|one| Socket::from_json(&one.to_json()).unwrap()).collect()
    }

    #[test]
    fn what_is_bound_stays_as_it_is() {
        for (before, after, expected) in [
            ("listen = '[::]:80'", "listen = '[::]:80'", ""),
            ("listen = '[::]:80'", "listen = '[::]:80'\nonly_v6 = true", "only_v6"),
            ("listen = '[::]:0'", "listen = '[::]:0'\nonly_v6 = true", "only_v6"),
            ("listen = '[::]:80'\nonly_v6 = true", "listen = '[::]:80'", "only_v6"),
            // One key, one fault.
            ("listen = ['[::]:80', '[::]:81']", "listen = ['[::]:80', '[::]:81']\nonly_v6 = true", "only_v6"),
            ("listen = 'unix:/a'", "listen = 'unix:/a'\nsocket_mode = '0600'", "socket_mode"),
            ("listen = 'unix:/a'", "listen = 'unix:/b'\nsocket_mode = '0600'", ""),
            // Of the other addresses, the mode is nothing.
            (
                "listen = ['unix:/a', '127.0.0.1:80']",
                "listen = ['unix:/b', '127.0.0.1:80']\nsocket_mode = '0600'",
                "",
            ),
            ("listen = '127.0.0.1:80'", "listen = '0.0.0.0:80'", "listen"),
            ("listen = '127.0.0.1:80'", "listen = '[::]:80'", "listen"),
            ("listen = '127.0.0.1:80'", "listen = '[::]:80'\nonly_v6 = true", ""),
            ("listen = '[::]:80'", "listen = '127.0.0.1:80'", "listen"),
            ("listen = '[::]:80'\nonly_v6 = true", "listen = '127.0.0.1:80'", ""),
            ("listen = '0.0.0.0:80'", "listen = ['127.0.0.1:80', '127.0.0.2:80']", "listen listen"),
            ("listen = '0.0.0.0:80'", "listen = ['0.0.0.0:81', '127.0.0.1:82']", ""),
            ("listen = '0.0.0.0:0'", "listen = '127.0.0.1:0'", ""),
        ] {
            let (before, after) = (listening(before), listening(after));
            let found: Vec<_> = conflicts(&told(&before), &after).iter().map(ToString::to_string).collect();
            let expected: Vec<_> =
                expected.split_whitespace().map(|key| format!("{key} of listener \"a\"")).collect();
            assert_eq!(found, expected, "{before:?}\n{after:?}");
        }
    }

    #[test]
    fn an_address_may_change_its_listener() {
        let (one, other) =
            (settings("[server]\nlisten = '127.0.0.1:80'"), listening("listen = '127.0.0.1:80'"));
        assert!(conflicts(&told(&one), &other).is_empty());
        assert!(conflicts(&told(&other), &one).is_empty());
    }
}
