//! File descriptors: their limit, and the few that are reserved for the admin listener.
//!
//! The system assigns the lowest free number, so the number of a new descriptor shows how many are in use; nothing is
//! counted. This state belongs to the process and not to one server, as the limit does.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Raises the limit of descriptors as far as the process may, and returns it.
///
/// # Errors
/// The limit is unchanged and unknown.
pub fn raise_limit() -> io::Result<u64> {
    // A sandbox may forbid it; then the limit is unchanged.
    let limit = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get_soft())?;
    LIMIT.store(limit, Ordering::Relaxed);
    Ok(limit)
}

/// Checks a new descriptor for a client or a backend.
///
/// # Errors
/// It belongs to the reserve: it counts as if none were left.
pub fn admit(descriptor: &impl AsRawFd) -> io::Result<()> {
    let number = u64::try_from(descriptor.as_raw_fd()).unwrap_or_default();
    LATEST.store(number, Ordering::Relaxed);
    if number < unreserved(LIMIT.load(Ordering::Relaxed)) { Ok(()) } else { Err(none_left()) }
}

/// Checks whether there is a descriptor for another client. The system is asked only if they are scarce.
///
/// # Errors
/// None is left.
pub fn check() -> io::Result<()> {
    if !are_scarce() {
        return Ok(());
    }
    match File::open("/dev/null") {
        Ok(file) => admit(&file),
        Err(error) if is_shortage(&error) => Err(error),
        // Without this file, it is not known.
        Err(_) => Ok(()),
    }
}

/// Returns whether most descriptors were in use when the last one was given out.
pub fn are_scarce() -> bool {
    LATEST.load(Ordering::Relaxed) >= unreserved(LIMIT.load(Ordering::Relaxed)) / 4 * 3
}

/// Returns whether an error says that none is left. That is our own fault, whatever was to be opened.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Returns the system's error.
fn none_left() -> io::Error {
    io::Error::from_raw_os_error(EMFILE)
}

const fn unreserved(limit: u64) -> u64 {
    let reserve = limit / 8;
    limit - if reserve < RESERVE { reserve } else { RESERVE }
}

static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
static LATEST: AtomicU64 = AtomicU64::new(0);

/// For the admin listener: a scrape, a probe, an operator, and the files that it reads to answer them.
const RESERVE: u64 = 16;
/// The process, or the system, has too many files open. The numbers are the same on every Unix.
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
