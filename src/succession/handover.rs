//! The conversation in which a process takes over from its predecessor.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::descriptor;
use super::folder::socket;
use super::words::{TIMEOUT, Wish, read_line};
use crate::sid::Node;

/// A listening socket with the name of its listener: its key of the configuration, and the address that stands there.
#[derive(Debug)]
pub struct Listening {
    /// The listener's name.
    pub name: String,
    /// The socket.
    pub descriptor: OwnedFd,
}

/// The successor's end.
#[derive(Debug)]
pub struct Heir {
    stream: UnixStream,
    /// Whose it takes over.
    pub predecessor: Node,
    /// What it was handed, and has not taken yet.
    listening: Vec<Listening>,
}

/// The predecessor's end.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
    /// Who wants to take over.
    pub heir: Node,
}

impl Heir {
    /// Asks a process of the folder for its listeners; `None` if it has handed them to another one already.
    ///
    /// # Errors
    /// It gives no answer, or an unknown one.
    pub async fn ask(folder: &Path, predecessor: Node, me: Node) -> io::Result<Option<Self>> {
        let handed = timeout(TIMEOUT, async {
            let mut stream = UnixStream::connect(socket(folder, predecessor)).await?;
            stream.write_all(Wish::Hand(me).line().as_bytes()).await?;
            let answer = read_line(&mut stream).await?;
            if answer == LEFT {
                return Ok(None);
            }
            let count = answer.strip_prefix(LISTENERS).and_then(|count| count.parse::<usize>().ok());
            let count = count.ok_or(io::ErrorKind::InvalidData)?;
            let mut listening = Vec::new();
            for _ in 0..count {
                let descriptor = descriptor::receive(&stream).await?;
                listening.push(Listening { name: read_line(&mut stream).await?, descriptor });
            }
            Ok(Some(Self { stream, predecessor, listening }))
        });
        handed.await?
    }

    /// Takes the listener whose name fits, if it was handed over.
    pub fn take(&mut self, fits: impl Fn(&str) -> bool) -> Option<Listening> {
        let position = self.listening.iter().position(|one| fits(&one.name))?;
        Some(self.listening.swap_remove(position))
    }

    /// Has the predecessor accept no more: from now on, this process accepts.
    ///
    /// # Errors
    /// It is gone.
    pub async fn take_over(mut self) -> io::Result<()> {
        // What is left of them is needed by nobody.
        self.listening.clear();
        timeout(TIMEOUT, async {
            self.stream.write_all(format!("{LEAVE}\n").as_bytes()).await?;
            read_line(&mut self.stream).await.map(drop)
        })
        .await?
    }
}

impl Conversation {
    /// Begins it with one that [wishes](Wish::Hand) so.
    pub const fn new(stream: UnixStream, heir: Node) -> Self {
        Self { stream, heir }
    }

    /// Says that another process has taken over.
    ///
    /// # Errors
    /// The other one is gone.
    pub async fn refuse(mut self) -> io::Result<()> {
        timeout(TIMEOUT, self.stream.write_all(format!("{LEFT}\n").as_bytes())).await?
    }

    /// Hands the listeners over. Until the other process [takes over](Self::is_taken), both may accept.
    ///
    /// # Errors
    /// The other one is gone.
    pub async fn hand(&mut self, listening: &[Listening]) -> io::Result<()> {
        let handed = timeout(TIMEOUT, async {
            self.stream.write_all(format!("{LISTENERS}{}\n", listening.len()).as_bytes()).await?;
            for Listening { name, descriptor } in listening {
                descriptor::send(&self.stream, descriptor.as_fd()).await?;
                self.stream.write_all(format!("{name}\n").as_bytes()).await?;
            }
            Ok(())
        });
        handed.await?
    }

    /// Returns once the other process serves.
    ///
    /// # Errors
    /// It is gone.
    pub async fn is_taken(&mut self) -> io::Result<()> {
        if read_line(&mut self.stream).await? == LEAVE {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Says that this process accepts no more.
    pub async fn leave(mut self) {
        // The other one needs it only to be sure.
        let _ = timeout(TIMEOUT, self.stream.write_all(format!("{LEFT}\n").as_bytes())).await;
    }
}

const LISTENERS: &str = "listeners ";
const LEAVE: &str = "leave";
const LEFT: &str = "left";

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_waits_in_the_queue_is_accepted_by_the_successor() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, other) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let client = TcpStream::connect(address).unwrap();
        let node = Node::parse("a---Xy").unwrap();
        let listening =
            |name: &str, listener| Listening { name: name.to_owned(), descriptor: OwnedFd::from(listener) };
        let predecessor = async {
            let mut conversation = Conversation::new(ours, node);
            let listening = [listening("one", first), listening("two", second)];
            conversation.hand(&listening).await.unwrap();
            conversation.is_taken().await.unwrap();
            drop(listening);
            conversation.leave().await;
        };
        let successor = async {
            let mut stream = theirs;
            assert_eq!(read_line(&mut stream).await.unwrap(), "listeners 2");
            let mut listening = Vec::new();
            for _ in 0..2 {
                let descriptor = descriptor::receive(&stream).await.unwrap();
                listening.push(Listening { name: read_line(&mut stream).await.unwrap(), descriptor });
            }
            let mut heir = Heir { stream, predecessor: node, listening };
            let mut take = |wanted: &str| heir.take(|name| name == wanted);
            let taken = TcpListener::from(take("one").unwrap().descriptor);
            assert!(take("one").is_none() && take("three").is_none());
            heir.take_over().await.unwrap();
            taken
        };
        let ((), taken) = tokio::join!(predecessor, successor);
        assert_eq!(taken.accept().unwrap().1, client.local_addr().unwrap());
        assert!(TcpStream::connect(other).is_err(), "nobody holds what was not taken");
    }
}
