//! Counts the interim responses (1xx) of a server below hyper, whose client reads them one after another for as long as
//! they come, and without a pause.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hop::HEADER_MAX;

/// Tells the stream below hyper that a connection's next request is about to be sent: its response comes next.
#[derive(Clone, Default, Debug)]
pub struct Answers(Arc<AtomicBool>);

impl Answers {
    /// Notes that the last response was read to its end, and another request will be sent.
    pub fn await_next(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns, once, whether another response is awaited.
    fn take(&self) -> bool {
        // Nearly always it is not, and reading takes no turns with other threads.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// The interim responses that have come before the one that is awaited.
#[derive(Default, Debug)]
pub(super) struct Interim {
    answers: Answers,
    place: Place,
    /// How many have begun.
    count: usize,
    /// How many bytes they have so far.
    len: usize,
}

/// A position in what a server sends.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a status line, of which this much has come.
    Status { line: [u8; STATUS_LEN], len: usize },
    /// In the header of an interim response, perhaps in a line that is empty so far.
    Header { is_empty: bool },
    /// Behind the status of the response itself.
    Response,
}

impl Default for Place {
    fn default() -> Self {
        Self::Status { line: [0; STATUS_LEN], len: 0 }
    }
}

impl Interim {
    /// Returns what notes the connection's next request.
    pub(super) fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Notes what was read.
    ///
    /// # Errors
    /// It contains more of them than there may be.
    pub(super) fn note_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.answers.take() {
            (self.place, self.count, self.len) = (Place::default(), 0, 0);
        }
        for &byte in bytes {
            if matches!(self.place, Place::Response) {
                break;
            }
            self.note_byte(byte);
            if self.count > COUNT_MAX || self.len > LEN_MAX {
                return Err(io::Error::other(TooManyInterim));
            }
        }
        Ok(())
    }

    /// Whatever hyper accepts is read alike here: a line feed ends a line, and empty lines may stand before a header.
    const fn note_byte(&mut self, byte: u8) {
        match &mut self.place {
            Place::Status { len: 0, .. } if matches!(byte, b'\r' | b'\n') => {}
            Place::Status { line, len } => {
                line[*len] = byte;
                *len += 1;
                if *len == STATUS_LEN {
                    let is_interim =
                        matches!(line, [.., b'1', tens, ones] if !matches!((*tens, *ones), (b'0', b'1')));
                    if is_interim {
                        self.place = Place::Header { is_empty: false };
                        self.count += 1;
                        self.len += STATUS_LEN;
                    } else {
                        self.place = Place::Response;
                    }
                }
            }
            Place::Header { is_empty } => {
                self.len += 1;
                match (byte, *is_empty) {
                    (b'\n', true) => self.place = Place::Status { line: [0; STATUS_LEN], len: 0 },
                    (b'\n', false) => *is_empty = true,
                    (b'\r', _) => {}
                    _ => *is_empty = false,
                }
            }
            Place::Response => {}
        }
    }
}

/// A server sent more interim responses to one request than anybody needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it sent more than {COUNT_MAX} interim responses, or {} KiB of them", LEN_MAX >> 10)]
pub struct TooManyInterim;

impl TooManyInterim {
    /// Finds it among the causes of an error.
    pub fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        std::iter::successors(Some(error), |&error| error.source())
            .filter_map(|error| error.downcast_ref::<io::Error>())
            // An io::Error does not return the error inside it as its source.
            .find_map(|broken| broken.get_ref()?.downcast_ref().copied())
    }
}

/// How many may come before a response: a server may say every now and then that it works on it (102), or what a page
/// will need (103).
const COUNT_MAX: usize = 100;
/// How many bytes of them.
const LEN_MAX: usize = HEADER_MAX;
/// A version, a space and a status, as in `HTTP/1.1 103`.
const STATUS_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";

    /// Returns whether all of it passes, read in pieces of this length.
    fn passes(interim: &mut Interim, bytes: &str, piece_len: usize) -> bool {
        bytes.as_bytes().chunks(piece_len).all(|piece| interim.note_read(piece).is_ok())
    }

    #[test]
    fn so_many_interim_responses_pass_and_one_more_does_not() {
        for piece_len in [1, 7, 1000, usize::MAX] {
            let mut interim = Interim::default();
            let bytes = format!("\r\n{}{RESPONSE}", HINT.repeat(COUNT_MAX));
            assert!(passes(&mut interim, &bytes, piece_len));
            // What looks like more of them is the response's body.
            assert!(passes(&mut interim, &HINT.repeat(2 * COUNT_MAX), piece_len));
            // The next response counts for itself.
            interim.answers().await_next();
            assert!(passes(&mut interim, &HINT.repeat(COUNT_MAX), piece_len));
            assert!(!passes(&mut interim, HINT, piece_len));
        }
    }

    #[test]
    fn one_that_is_written_in_any_way_counts() {
        for one in [
            "HTTP/1.1 103\r\n\r\n",
            "HTTP/1.0 100 \n\n",
            "\n\r\nHTTP/1.1 199 x\nA:b\r\nC:\n\r\n",
            "HTTP/1.1 100 \r\nx:\r\n\n",
            "HTTP/1.1 110 HTTP/1.1 200 OK\r\n\r\n",
        ] {
            let mut interim = Interim::default();
            assert!(passes(&mut interim, &one.repeat(COUNT_MAX), 3), "{one:?}");
            assert_eq!(interim.count, COUNT_MAX, "{one:?}");
            assert!(!passes(&mut interim, one, 3), "{one:?}");
        }
    }

    #[test]
    fn few_that_are_long_are_too_many() {
        let line = format!("X: {}\r\n", "y".repeat(1000));
        let long = format!("HTTP/1.1 103 x\r\n{}\r\n", line.repeat(30));
        let mut interim = Interim::default();
        assert!(passes(&mut interim, &long.repeat(2), 1000));
        assert!(!passes(&mut interim, &long, 1000));
        // A response's own header has a limit of its own.
        let mut interim = Interim::default();
        assert!(passes(&mut interim, &format!("HTTP/1.1 200 OK\r\n{}", line.repeat(100)), 1000));
    }

    #[test]
    fn a_change_of_protocols_is_no_interim_response() {
        let mut interim = Interim::default();
        assert!(passes(&mut interim, &"HTTP/1.1 101 S\r\n\r\n".repeat(2 * COUNT_MAX), 1000));
    }
}
