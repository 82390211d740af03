//! What one session has moved so far: its messages and their bytes in each direction, since when, and for which client.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::meter::Direction;

/// The counts of one session. Counting needs no lock.
#[derive(Debug)]
pub struct Tally {
    /// When it began, in milliseconds of the process.
    began_ms: u64,
    /// Its client's address; `::` if it has none.
    client: Ipv6Addr,
    moved: [Counts; Direction::ALL.len()],
}

#[derive(Default, Debug)]
struct Counts {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// What has moved in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Moved {
    /// Application messages.
    pub messages: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
}

impl Tally {
    /// Begins to count for a session of the client at this address; `None` if it came by a Unix socket.
    pub fn of(client: Option<IpAddr>) -> Self {
        let client = match client {
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
            Some(IpAddr::V6(address)) => address,
            None => Ipv6Addr::UNSPECIFIED,
        };
        Self { began_ms: process_ms(), client, moved: Default::default() }
    }

    /// Counts messages, with the size of their payload.
    pub fn count(&self, direction: Direction, messages: u64, bytes: u64) {
        let moved = &self.moved[direction as usize];
        moved.messages.fetch_add(messages, Ordering::Relaxed);
        moved.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns what has moved in this direction.
    pub fn moved(&self, direction: Direction) -> Moved {
        let Counts { messages, bytes } = &self.moved[direction as usize];
        Moved { messages: messages.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    /// Returns how long ago it began, to the millisecond.
    pub fn age(&self) -> Duration {
        Duration::from_millis(process_ms().saturating_sub(self.began_ms))
    }

    /// Returns its client's address, if it has one.
    pub fn client(&self) -> Option<IpAddr> {
        Some(self.client).filter(|address| !address.is_unspecified()).map(|address| address.to_canonical())
    }
}

/// Returns the milliseconds since something in this process was first counted: half the size of an `Instant`.
fn process_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(Instant::now().saturating_duration_since(*start).as_millis()).unwrap_or(u64::MAX)
}

/// Every session has one.
const _: () = assert!(size_of::<Tally>() <= 56, "a session's counts are small");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_direction_has_its_own_counts() {
        let tally = Tally::of(Some("192.0.2.1".parse().unwrap()));
        tally.count(Direction::FromClient, 1, 3);
        tally.count(Direction::ToClient, 2, 70);
        tally.count(Direction::ToClient, 1, 0);
        assert_eq!(tally.moved(Direction::FromClient), Moved { messages: 1, bytes: 3 });
        assert_eq!(tally.moved(Direction::ToClient), Moved { messages: 3, bytes: 70 });
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(tally.age(), Duration::from_millis(1500));
    }

    #[tokio::test]
    async fn a_client_is_known_by_the_address_that_it_has() {
        for address in ["192.0.2.1", "2001:db8::1", "::1"] {
            let address = address.parse().unwrap();
            assert_eq!(Tally::of(Some(address)).client(), Some(address));
        }
        assert_eq!(Tally::of(None).client(), None);
    }
}
