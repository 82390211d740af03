//! File descriptors, of which a process may have so many, and the few that are kept for the admin listener.
//!
//! The system gives the lowest number that is free, so the number of a new descriptor says how many are taken: none is
//! counted. What is known here is the process's and not one server's, as the limit is.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Allows as many descriptors as the process may have, and says how many that is.
///
/// # Errors
/// The limit stays as it is, and is not known.
pub fn raise_limit() -> io::Result<u64> {
    // A sandbox may forbid it, and the limit is what it was.
    let limit = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get_soft())?;
    LIMIT.store(limit, Ordering::Relaxed);
    Ok(limit)
}

/// Takes note of a new descriptor for clients and backends.
///
/// # Errors
/// It is one of those that are kept in reserve: as if there were none.
pub fn admit(descriptor: &impl AsRawFd) -> io::Result<()> {
    let number = u64::try_from(descriptor.as_raw_fd()).unwrap_or_default();
    LATEST.store(number, Ordering::Relaxed);
    if number < unreserved(LIMIT.load(Ordering::Relaxed)) { Ok(()) } else { Err(none_left()) }
}

/// Returns whether there is one for another client. The system is asked only where they are scarce.
///
/// # Errors
/// There is none.
pub fn check() -> io::Result<()> {
    if !are_scarce() {
        return Ok(());
    }
    match File::open("/dev/null") {
        Ok(file) => admit(&file),
        Err(error) if is_shortage(&error) => Err(error),
        // Where there is no such file, it is not known.
        Err(_) => Ok(()),
    }
}

/// Returns whether most of them were taken when the last one was given.
pub fn are_scarce() -> bool {
    LATEST.load(Ordering::Relaxed) >= unreserved(LIMIT.load(Ordering::Relaxed)) / 4 * 3
}

/// Returns whether an error says that there is none: ours to answer for, whatever was to be opened.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// As the system says it.
fn none_left() -> io::Error {
    io::Error::from_raw_os_error(EMFILE)
}

const fn unreserved(limit: u64) -> u64 {
    let reserve = limit / 8;
    limit - if reserve < RESERVE { reserve } else { RESERVE }
}

static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
static LATEST: AtomicU64 = AtomicU64::new(0);

/// The admin listener's: a scrape, a probe, an operator, and the files that they are answered from.
const RESERVE: u64 = 16;
/// The process has too many files open; and the system. The numbers are the same on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_kept_in_reserve_whatever_the_limit() {
        assert_eq!([64, 100, 1024, 20_000].map(unreserved), [56, 88, 1008, 19_984]);
        assert_eq!(unreserved(u64::MAX), u64::MAX - RESERVE);
    }

    #[test]
    fn only_a_want_of_descriptors_is_a_shortage() {
        assert!(is_shortage(&none_left()));
        for kind in
            [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut, io::ErrorKind::AddrNotAvailable]
        {
            assert!(!is_shortage(&kind.into()), "{kind}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_scarce() {
        assert!(admit(&File::open("/dev/null").unwrap()).is_ok() && !are_scarce() && check().is_ok());
    }
}
