//! Finds out that the host at the other end of an idle connection is gone, where it went without a word.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Lets the system ask the other end for a sign of life while nothing moves, and break the connection where none comes.
///
/// What a listener has been given the connections that it accepts have too, so they cost nothing; one that is dialled costs
/// four system calls.
///
/// # Errors
/// The system does not know of it.
pub fn set_keepalive<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);
    socket.into().set_tcp_keepalive(&keepalive)
}

/// Longer than the usual heartbeats, which make probes needless; shorter than the memory of most firewalls between.
const IDLE: Duration = Duration::from_mins(1);
/// A host that is gone is missed after two minutes.
const INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_hands_it_on_to_what_it_accepts() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        set_keepalive(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        let accepted = SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), IDLE);
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), INTERVAL);
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), PROBES);
    }
}
