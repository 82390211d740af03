//! A server that accepts. Its listeners and settings can be replaced while connections live.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::accept::Signals;
use super::bound::{BindError, Bound};
use super::connection::{Connecting, NextConnecting};
use super::ending::Ending;
use super::listening::{Handed, Listening};
use super::settings::{ListenerSettings, Settings, SocketName};
use crate::address::ListenAddress;
use crate::tls::Ordered;

/// A server that accepts connections.
pub struct Open {
    sockets: Vec<OpenSocket>,
    /// What the connections of each listener share, by its name.
    connecting: HashMap<Arc<str>, Arc<ArcSwap<Connecting>>>,
    signals: Signals,
    accept: Accept,
}

/// Has one more socket accept.
type Accept = Box<dyn Fn(Accepts, Signals) + Send + Sync>;

/// A socket that is about to accept.
pub(super) struct Accepts {
    pub(super) socket: Arc<Listening>,
    pub(super) address: ListenAddress,
    pub(super) connecting: Arc<ArcSwap<Connecting>>,
    /// The signals to its connections.
    pub(super) ending: Ending,
}

/// A socket that accepts.
struct OpenSocket {
    name: SocketName,
    address: ListenAddress,
    only_v6: bool,
    mode: u32,
    /// Those who accept close it: a client that connects after the end must be refused.
    socket: Weak<Listening>,
    ending: Ending,
    leave: CancellationToken,
    end: CancellationToken,
}

/// What follows a server: nothing that could fail is left to do.
#[derive(Debug)]
pub struct NextServer {
    wanted: Vec<SocketName>,
    bound: Vec<Bound>,
    connecting: Vec<NextConnecting>,
}

impl Open {
    pub(super) fn new(
        bound: Vec<Bound>,
        connecting: Vec<Connecting>,
        signals: Signals,
        accept: Accept,
    ) -> Self {
        let mut open = Self { sockets: Vec::new(), connecting: HashMap::new(), signals, accept };
        for connecting in connecting {
            open.share(connecting);
        }
        for bound in bound {
            open.add(bound);
        }
        open
    }

    /// Reads the certificates of the next settings and binds the addresses that are new. An address stays bound while
    /// it is in the settings, even under the name of another listener.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn prepare(&self, settings: &Settings) -> Result<NextServer, BindError> {
        let mut connecting = Vec::with_capacity(settings.listeners.len());
        for listener in &settings.listeners {
            let now = self.connecting.get(&listener.name).map(|now| now.load());
            connecting.push(Connecting::next(now.as_deref().map(|now| &**now), listener, settings)?);
        }
        let mut kept = self.sockets.iter().map(|one| one.name.clone()).collect();
        let (mut wanted, mut bound) = (Vec::new(), Vec::new());
        for listener in &settings.listeners {
            for name in listener.sockets() {
                self.judge(listener, &name)?;
                wanted.push(name.clone());
                if !take(&mut kept, &name) {
                    let taken = self.taken(&name.address)?;
                    bound.push(Bound::new(listener, name, taken)?);
                }
            }
        }
        Ok(NextServer { wanted, bound, connecting })
    }

    /// Refuses what cannot be changed of a socket that is bound.
    fn judge(&self, listener: &ListenerSettings, name: &SocketName) -> Result<(), BindError> {
        let address = &name.address;
        let only_v6 = listener.is_only_v6(address);
        let is_same =
            |one: &OpenSocket| one.name == *name || one.name.address == *address && !address.is_any();
        let mut same = self.sockets.iter().filter(|one| is_same(one));
        if same.clone().any(|one| one.only_v6 != only_v6) {
            return Err(BindError::OnlyV6(address.clone()));
        }
        let has_mode = matches!(address, ListenAddress::Unix(_));
        if has_mode && same.any(|one| one.mode != listener.socket_mode) {
            return Err(BindError::Mode(address.clone()));
        }
        Ok(())
    }

    /// Returns a descriptor of the socket that listens at this address for another listener.
    fn taken(&self, address: &ListenAddress) -> Result<Option<Handed>, BindError> {
        // Of port 0 there are several.
        let found = self.sockets.iter().find(|one| one.name.address == *address && !address.is_any());
        let socket = found.and_then(|one| one.socket.upgrade());
        let descriptor = socket.map(|socket| socket.descriptor());
        descriptor.transpose().map_err(|source| BindError::Address { address: address.clone(), source })
    }

    /// Takes the next settings over: new connections meet them. A listener that is not among them accepts no more; its
    /// idle connections end, the others after their response. If another has its address, each ends behind its next
    /// response: its client came to an address that is there.
    pub fn replace(&mut self, next: NextServer) {
        let before: Vec<_> = self.connecting.keys().cloned().collect();
        let mut now = Vec::with_capacity(next.connecting.len());
        for next in next.connecting {
            let moves_clients = next.moves_clients;
            let connecting = next.take_over();
            let listener = Arc::clone(&connecting.listener);
            self.share(connecting);
            for one in self.sockets.iter().filter(|one| moves_clients && one.name.listener == listener) {
                one.ending.move_clients();
            }
            now.push(listener);
        }
        for gone in before.iter().filter(|name| !now.contains(name)) {
            self.connecting.remove(gone);
        }
        let mut wanted = next.wanted;
        let addresses: Vec<_> = wanted.iter().map(|name| name.address.clone()).collect();
        self.sockets.retain(|one| {
            let is_kept = take(&mut wanted, &one.name);
            if !is_kept {
                let is_there = addresses.contains(&one.name.address);
                if is_there { one.leave.cancel() } else { one.end.cancel() }
            }
            is_kept
        });
        for bound in next.bound {
            self.add(bound);
        }
    }

    /// Returns the addresses, with the actual ports in place of port 0, each with its listener's name.
    pub fn local_addrs(&self) -> Vec<SocketName> {
        let local = |one: &OpenSocket| SocketName { address: one.address.clone(), ..one.name.clone() };
        self.sockets.iter().map(local).collect()
    }

    /// Returns the certificates of all listeners that are ordered.
    pub fn ordered(&self) -> Vec<Arc<Ordered>> {
        self.connecting.values().flat_map(|connecting| connecting.load().ordered()).collect()
    }

    fn share(&mut self, connecting: Connecting) {
        if let Some(now) = self.connecting.get(&connecting.listener) {
            now.store(Arc::new(connecting));
        } else {
            let name = Arc::clone(&connecting.listener);
            self.connecting.insert(name, Arc::new(ArcSwap::from_pointee(connecting)));
        }
    }

    fn add(&mut self, bound: Bound) {
        // Each socket is one of a listener's.
        let Some(connecting) = self.connecting.get(&bound.name.listener).map(Arc::clone) else { return };
        let (leave, end) = (self.signals.leave.child_token(), self.signals.end.child_token());
        let Bound { name, address, only_v6, mode, socket } = bound;
        if let Some(file) = socket.file() {
            file.own();
        }
        let ending = Ending::default();
        let weak = Arc::downgrade(&socket);
        let signals = Signals { leave: leave.clone(), end: end.clone(), ..self.signals.clone() };
        let shared = ending.clone();
        let local = address.clone();
        self.sockets.push(OpenSocket {
            name,
            address: local,
            only_v6,
            mode,
            socket: weak,
            ending: shared,
            leave,
            end,
        });
        (self.accept)(Accepts { socket, address, connecting, ending }, signals);
    }
}

impl NextServer {
    /// Returns the names of all its sockets.
    pub fn names(&self) -> &[SocketName] {
        &self.wanted
    }

    /// Returns descriptors of the sockets that are new.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn descriptors(&self) -> io::Result<Vec<(SocketName, Handed)>> {
        self.bound.iter().map(|bound| Ok((bound.name.clone(), bound.descriptor()?))).collect()
    }
}

/// Takes a name out of a list, once: of port 0 there may be several.
fn take(list: &mut Vec<SocketName>, name: &SocketName) -> bool {
    let found = list.iter().position(|one| one == name);
    found.map(|index| list.swap_remove(index)).is_some()
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.local_addrs()).finish()
    }
}
