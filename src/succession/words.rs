//! The lines that processes of a folder say to each other.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use crate::sid::Node;

/// What a process wants that has connected: its first line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// It asks about sessions: what follows are the frames of [`peer`](crate::peer).
    Ask(Node),
    /// It wants to take over.
    Hand(Node),
    /// It stops, and this process should stop with it. The connection ends when it has.
    End(Node),
}

impl Wish {
    /// Returns the line.
    pub fn line(self) -> String {
        match self {
            Self::Ask(node) => format!("{PROTOCOL} {ASK} {node}\n"),
            Self::Hand(node) => format!("{PROTOCOL} {HAND} {node}\n"),
            Self::End(node) => format!("{PROTOCOL} {END} {node}\n"),
        }
    }

    /// Parses the line, without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let (verb, node) = line.strip_prefix(PROTOCOL)?.strip_prefix(' ')?.split_once(' ')?;
        let node = Node::parse(node)?;
        match verb {
            ASK => Some(Self::Ask(node)),
            HAND => Some(Self::Hand(node)),
            END => Some(Self::End(node)),
            _ => None,
        }
    }
}

/// Reads what a process wants that has connected; `None` if it wants nothing that this one understands.
pub async fn read_wish(stream: &mut (impl AsyncRead + Unpin)) -> Option<Wish> {
    let line = timeout(TIMEOUT, read_line(stream)).await.ok()?.ok()?;
    Wish::parse(&line)
}

/// Reads a line, without its end, and nothing behind it: a descriptor may follow, or another protocol.
///
/// # Errors
/// The connection ended before, or the line is none of ours.
pub(super) async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LINE_MAX {
        match stream.read_u8().await? {
            b'\n' => return String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into()),
            byte => line.push(byte),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Changes when what is said changes: a process of another version is refused, and begins without a predecessor.
const PROTOCOL: &str = "polliwog.succession.v1";
const ASK: &str = "ask";
const HAND: &str = "hand";
const END: &str = "end";
/// The longest is the name of a listener.
const LINE_MAX: usize = 256;
/// How long a process of this host may take to say something.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_as_it_was_written() {
        let node = Node::parse("a---Xy").unwrap();
        for wish in [Wish::Ask(node), Wish::Hand(node), Wish::End(node)] {
            assert_eq!(Wish::parse(wish.line().strip_suffix('\n').unwrap()), Some(wish));
        }
        for line in [
            "",
            "GET / HTTP/1.1",
            "polliwog.succession.v1",
            "polliwog.succession.v1 ask",
            "polliwog.succession.v1 ask ../../",
            "polliwog.succession.v1 give a---Xy",
            "polliwog.succession.v2 ask a---Xy",
        ] {
            assert_eq!(Wish::parse(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn nothing_behind_a_line_is_read() {
        let mut stream = &b"one\ntwo"[..];
        assert_eq!(read_line(&mut stream).await.unwrap(), "one");
        assert_eq!(stream, b"two");
        assert!(read_line(&mut stream).await.is_err());
        assert!(read_line(&mut &[b'x'; 1000][..]).await.is_err());
    }
}
