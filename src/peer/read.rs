//! What the asker has read in a request, so that the owner need not read it again.

use bytes::Buf as _;

use super::lines::take;
use super::prefix::Malformed;

/// What a request asks of its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    /// Its route: this number is the same at each node that has the route.
    pub route: u64,
    /// What it asks for, in a number of its dialect.
    pub intent: u8,
    /// Where the session's id begins in its target.
    pub sid_at: u16,
    /// How long the id is.
    pub sid_len: u8,
}

impl Read {
    /// Finds the id in the target of which it is a part; `None` if it is not, or too far behind or too long.
    pub fn new(route: u64, intent: u8, target: &str, sid: &str) -> Option<Self> {
        let at = sid.as_ptr().addr().checked_sub(target.as_ptr().addr())?;
        let read = Self { route, intent, sid_at: at.try_into().ok()?, sid_len: sid.len().try_into().ok()? };
        (read.sid(target.as_bytes()) == Some(sid.as_bytes())).then_some(read)
    }

    /// Returns the session's id, as its client wrote it.
    pub fn sid(self, target: &[u8]) -> Option<&[u8]> {
        let at = usize::from(self.sid_at);
        target.get(at..at + usize::from(self.sid_len))
    }

    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.route.to_be_bytes());
        bytes[8] = self.intent;
        bytes[9..11].copy_from_slice(&self.sid_at.to_be_bytes());
        bytes[11] = self.sid_len;
        bytes
    }

    pub(super) fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let mut bytes = take(from, LEN)?;
        let (route, intent) = (bytes.get_u64(), bytes.get_u8());
        Ok(Self { route, intent, sid_at: bytes.get_u16(), sid_len: bytes.get_u8() })
    }
}

/// Its length on the wire.
pub(super) const LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_where_it_stands_in_the_target() {
        let target = "/a/?x=id&sid=id&y=\u{e9}";
        let read = Read::new(7, 9, target, &target[13..15]).unwrap();
        assert_eq!((read.sid_at, read.sid(target.as_bytes())), (13, Some(&b"id"[..])));
        assert_eq!(Read::take(&mut &read.to_bytes()[..]), Ok(read));
        let (elsewhere, long) = (String::from("id"), format!("/{}", "x".repeat(1 << 17)));
        assert_eq!(Read::new(7, 9, target, &elsewhere), None);
        assert_eq!(Read::new(7, 9, &long, &long[1..300]), None, "too long");
        assert_eq!(Read::new(7, 9, &long, &long[1 << 16..(1 << 16) + 2]), None, "too far behind");
        assert_eq!(read.sid(b"/"), None);
    }
}
