//! A live session as its operator may see it.

use std::net::IpAddr;
use std::time::Duration;

use super::entry::Entry;
use super::info::RouteInfo;
use super::name::Name;
use super::registry::Registry;
use crate::meter::Direction;
use crate::packet::Transport;
use crate::route_id::RouteId;
use crate::tally::Moved;

/// A live session as its operator may see it.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Its name.
    pub name: Name,
    /// Its route.
    pub route: RouteId,
    /// Its dialect and its upstream.
    pub leads: Option<(&'static str, String)>,
    /// Its client's address; `None` if it came by a Unix socket and has no other.
    pub client: Option<IpAddr>,
    /// The version of its dialect, if there are several.
    pub version: Option<u8>,
    /// Its transport now.
    pub transport: Transport,
    /// Whether its client is moving to a WebSocket.
    pub is_upgrading: bool,
    /// Whether its WebSocket is copied between the two ends.
    pub is_relayed: bool,
    /// How long ago it began.
    pub age: Duration,
    /// What came from the client.
    pub from_client: Moved,
    /// What its client was handed.
    pub to_client: Moved,
    /// What waits for its client. Nothing waits for a relayed one: its backend is not read.
    pub waiting: Moved,
}

impl Sight {
    pub(super) fn of(name: Name, route: &RouteId, entry: &Entry) -> Self {
        let known = entry.known();
        let (transport, is_upgrading, waiting) = match entry {
            Entry::Bridge(bridge) => bridge.look(),
            Entry::Relay(_) => (Transport::WebSocket, false, Moved::default()),
        };
        let (info, tally) = entry.particulars();
        let leads = |info: &RouteInfo| (info.dialect, info.upstream.name().to_owned());
        Self {
            name,
            route: route.clone(),
            leads: info.map(leads),
            client: tally.client(),
            version: Some(known.framing.version()).filter(|version| *version > 0),
            transport,
            is_upgrading,
            is_relayed: known.is_relayed,
            age: tally.age(),
            from_client: tally.moved(Direction::FromClient),
            to_client: tally.moved(Direction::ToClient),
            waiting,
        }
    }
}

impl Registry {
    /// Returns what an operator may see of every live session, in no particular order.
    pub fn sights(&self) -> impl Iterator<Item = Sight> {
        self.named().map(|(name, key, entry)| Sight::of(name, &key.route, &entry))
    }

    /// Ends the session that an operator knows by this name. Returns whether there is one.
    pub fn end(&self, name: &str) -> bool {
        let named = self.named().find(|(one, ..)| one.to_string() == name);
        named.inspect(|(.., entry)| entry.end()).is_some()
    }

    /// Logs the ends of all sessions, which are cut off with their process.
    pub fn log_cut(&self) {
        // Collected first: what is logged may leave the index.
        let live: Vec<_> = self.named().collect();
        for (_, key, entry) in &live {
            entry.log_cut(&key.sid);
        }
    }
}
