//! How many bytes a WebSocket has taken and not yet written, which its library does not tell.

use super::web_socket::WRITE_BUFFER_LEN;

/// Counts the bytes in a WebSocket's write buffer, or up to [`WRITE_BUFFER_LEN`] more.
#[derive(Default, Debug)]
pub struct Unwritten(usize);

impl Unwritten {
    /// Notes that the socket has room for another frame: it has written all but what its buffer usually holds.
    pub fn note_room(&mut self) {
        self.0 = self.0.min(WRITE_BUFFER_LEN);
    }

    /// Counts a frame with this payload.
    pub const fn add(&mut self, payload_len: usize) {
        self.0 += payload_len;
    }

    /// Notes that everything was written.
    pub const fn note_flushed(&mut self) {
        self.0 = 0;
    }

    /// Returns the number of bytes.
    pub const fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_has_room_holds_no_more_than_its_buffer() {
        let mut unwritten = Unwritten::default();
        unwritten.add(100_000);
        assert_eq!(unwritten.len(), 100_000, "it may have blocked");
        unwritten.note_room();
        unwritten.add(10);
        assert_eq!(unwritten.len(), WRITE_BUFFER_LEN + 10);
        unwritten.note_flushed();
        assert_eq!(unwritten.len(), 0);
    }
}
