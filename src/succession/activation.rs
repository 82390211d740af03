//! The listeners that a supervisor such as systemd hands to a process that it starts (`LISTEN_FDS`, `LISTEN_FDNAMES`).

use std::env;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::address::ListenAddress;

/// The listeners that were handed to this process, and are not taken yet.
#[derive(Default, Debug)]
pub struct Activated {
    handed: Vec<Handed>,
    /// The names of the listeners of the configuration.
    keys: Vec<String>,
}

#[derive(Debug)]
struct Handed {
    which: Which,
    address: ListenAddress,
    listener: OwnedFd,
}

/// A descriptor, as a fault names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Which {
    number: usize,
    name: String,
}

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// It is no listening socket of TCP, nor one of this host with a path.
    #[error("{which} from LISTEN_FDS is no listening TCP or Unix socket")]
    NoListener {
        /// Which one it is.
        which: Which,
        /// The operating system's error.
        source: io::Error,
    },
    /// No listener has its address, or the one that has it stands under another key.
    #[error(
        "{which} from LISTEN_FDS listens at {address} and fits no listener: the address must stand in the configuration, under the \
         key that is the descriptor's name if the name is the key of a listener"
    )]
    Unfit {
        /// Which one it is.
        which: Which,
        /// Where it listens.
        address: ListenAddress,
    },
}

/// What was handed to this process. It belongs to the environment, so there is one for the whole process.
static HANDED: Mutex<Result<Vec<Handed>, ActivationError>> = Mutex::new(Ok(Vec::new()));

impl Activated {
    /// Reads the environment, and removes what is for this process alone: a child must not use it. Called once, before there
    /// is a second thread.
    pub fn read() {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut descriptors = ListenFd::from_env();
        let handed = (0..descriptors.len()).map(|index| {
            let which = Which { number: FIRST + index, name: names.next().unwrap_or_default() };
            match listener(&mut descriptors, index) {
                Ok((address, listener)) => Ok(Handed { which, address, listener }),
                Err(source) => Err(ActivationError::NoListener { which, source }),
            }
        });
        let handed = handed.collect();
        *HANDED.lock().unwrap_or_else(PoisonError::into_inner) = handed;
    }

    /// Returns what was handed to this process, the first time that it is called. `keys` are the names of the listeners of
    /// the configuration.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn of_process(keys: Vec<String>) -> Result<Self, ActivationError> {
        let mut handed = HANDED.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { handed: std::mem::replace(&mut *handed, Ok(Vec::new()))?, keys })
    }

    /// Takes the listener that has this address in the configuration, under this key. A name that is no key fits each:
    /// without `FileDescriptorName=`, systemd calls all descriptors by the name of their unit.
    ///
    /// # Errors
    /// Its name is another key.
    pub fn take(&mut self, key: &str, address: &ListenAddress) -> Result<Option<OwnedFd>, ActivationError> {
        let Some(position) = self.handed.iter().position(|one| one.address == *address) else {
            return Ok(None);
        };
        let Handed { which, listener, address } = self.handed.swap_remove(position);
        let is_key = which.name.ends_with(KEYS_END) || self.keys.contains(&which.name);
        if which.name == key || !is_key {
            Ok(Some(listener))
        } else {
            Err(ActivationError::Unfit { which, address })
        }
    }

    /// Checks that all of them were taken.
    ///
    /// # Errors
    /// One of them was not.
    pub fn finish(self) -> Result<(), ActivationError> {
        match self.handed.into_iter().next() {
            Some(Handed { which, address, .. }) => Err(ActivationError::Unfit { which, address }),
            None => Ok(()),
        }
    }
}

fn listener(descriptors: &mut ListenFd, index: usize) -> io::Result<(ListenAddress, OwnedFd)> {
    // Whatever has an address of IP is tried as one of TCP.
    let (address, listener) = if let Ok(listener) = descriptors.take_unix_listener(index) {
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| io::Error::other("it has no path"))?;
        (ListenAddress::Unix(path.into()), OwnedFd::from(listener))
    } else {
        let listener = descriptors.take_tcp_listener(index)?.ok_or(io::ErrorKind::NotFound)?;
        (listener.local_addr()?.into(), listener.into())
    };
    if !socket_acceptconn(&listener)? {
        return Err(io::Error::other("it does not listen"));
    }
    Ok((address, listener))
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {} ({:?})", self.number, self.name)
    }
}

/// The first descriptor that is handed over.
const FIRST: usize = 3;
/// How the keys of the listeners end that have no name in the configuration.
const KEYS_END: &str = ".listen";

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_descriptor_goes_to_the_listener_of_its_name_and_address() {
        let handed = |name: &str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let which = Which { number: 3, name: name.to_owned() };
            let address = ListenAddress::Ip(listener.local_addr().unwrap());
            let listener = listener.into();
            let keys = vec!["server.listen".to_owned(), "inside".to_owned()];
            (address.clone(), Activated { handed: vec![Handed { which, address, listener }], keys })
        };
        for (name, fits) in [
            ("server.listen", true),
            ("admin.listen", false),
            ("inside", false),
            ("polliwog.socket", true),
            ("", true),
        ] {
            let (address, mut activated) = handed(name);
            let mut elsewhere = address.ip().unwrap();
            elsewhere.set_port(elsewhere.port() ^ 1);
            assert!(activated.take("server.listen", &elsewhere.into()).unwrap().is_none());
            let taken = activated.take("server.listen", &address).map(|taken| taken.is_some());
            let taken =
                taken.map_err(|error| error.to_string().starts_with(&format!("descriptor 3 ({name:?})")));
            assert_eq!(taken, if fits { Ok(true) } else { Err(true) }, "{name}");
            activated.finish().unwrap();
        }
        let (_, activated) = handed("server.listen");
        assert!(activated.finish().is_err(), "nobody needs it");
    }
}
