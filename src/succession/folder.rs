//! The folder in which the processes of one host find each other: a socket each, named after its node.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::sid::{Node, Tag};

/// A folder that this process has entered. No other process can start there until this value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The processes that are there, youngest first.
    pub others: Vec<Node>,
    _lock: File,
}

/// This process's own socket, which is removed with this value.
#[derive(Debug)]
pub struct Own {
    /// The name under which others find this process.
    pub node: Node,
    /// Where they connect.
    pub listener: UnixListener,
    path: PathBuf,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It would let others take sessions and listeners over.
    #[error("{} must be a folder of this user, in which nobody else can write", .0.display())]
    Open(PathBuf),
    /// It can't be read or written.
    #[error("cannot use the folder {}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process is about to take over, and does not come to an end.
    #[error("another process has been starting in {} for too long", .0.display())]
    Busy(PathBuf),
    /// There is no name left.
    #[error("no randomness for this process's name")]
    Random,
}

impl Folder {
    /// Checks a folder that may not exist yet.
    ///
    /// # Errors
    /// Others can write there, or it is no folder.
    pub fn check(path: &Path) -> Result<(), FolderError> {
        match fs::symlink_metadata(path) {
            Ok(found) if is_private(&found) => Ok(()),
            Ok(_) => Err(FolderError::Open(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(FolderError::Unusable { path: path.to_owned(), source }),
        }
    }

    /// Enters the folder, which is made if it is not there, as soon as no other process is starting in it. Sockets of
    /// processes that have died are removed.
    ///
    /// # Errors
    /// It can't be used.
    pub async fn enter(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
            Ok(()) | Err(_) => Self::check(path)?,
        }
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(unusable)?;
        let locked = timeout(LOCK_TIMEOUT, async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => sleep(LOOK).await,
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        });
        locked.await.map_err(|_| FolderError::Busy(path.to_owned()))?.map_err(unusable)?;
        let others = living(path).await.map_err(unusable)?;
        Ok(Self { path: path.to_owned(), others, _lock: lock })
    }

    /// Gives this process a name that no other has, and its socket.
    ///
    /// # Errors
    /// There can be no such socket.
    pub fn join(&self, tag: Tag) -> Result<Own, FolderError> {
        loop {
            let mut random = [0; 2];
            getrandom::fill(&mut random).map_err(|_| FolderError::Random)?;
            let node = Node::from_random(tag, random);
            let path = socket(&self.path, node);
            match UnixListener::bind(&path) {
                Ok(listener) => return Ok(Own { node, listener, path }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(FolderError::Unusable { path: self.path.clone(), source }),
            }
        }
    }
}

impl Own {
    /// Accepts the next process of this user.
    ///
    /// # Errors
    /// None could be accepted.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == geteuid().as_raw() => return Ok(stream),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "a process of another user was refused"),
                Err(error) => tracing::debug!(%error, "a process disconnected at once"),
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _absent = fs::remove_file(&self.path);
    }
}

/// Returns the socket of a process.
pub fn socket(folder: &Path, node: Node) -> PathBuf {
    folder.join(format!("{node}{SUFFIX}"))
}

/// Returns the process that a socket belongs to.
pub fn node_of(socket: &str) -> Option<Node> {
    let name = socket.rsplit('/').next()?;
    Node::parse(name.strip_suffix(SUFFIX)?)
}

/// Returns the processes of a folder that listen, youngest first, and removes the sockets of those that died.
async fn living(folder: &Path) -> io::Result<Vec<Node>> {
    let mut found: Vec<(SystemTime, Node)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(node) = name.to_str().and_then(node_of) else { continue };
        let looked = match UnixStream::connect(entry.path()).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(entry.path())
                .map(|()| {
                    tracing::info!(%node, "the socket of a process that died is removed");
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            // One that is too busy to be connected lives, too.
            Ok(_) | Err(_) => {
                let made = entry.metadata().and_then(|metadata| metadata.modified());
                made.map(|made| found.push((made, node)))
            }
        };
        match looked {
            // It has ended meanwhile, and has removed its socket itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
    }
    found.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    Ok(found.into_iter().map(|(_, node)| node).collect())
}

/// Returns whether it is a folder of ours that nobody else can write to.
fn is_private(found: &Metadata) -> bool {
    found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0
}

const LOCK: &str = "lock";
const SUFFIX: &str = ".sock";
/// Longer than a process may take to start.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);
/// The longest path of a folder: a socket's path has 107 bytes at most.
pub const PATH_LEN_MAX: usize = 107 - "/a---AA.sock".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_that_end_meanwhile_keep_nobody_from_starting() {
        let path = std::env::temp_dir().join(format!("polliwog-folder-{}", std::process::id()));
        let _folder = Folder::enter(&path).await.unwrap();
        let tag = Tag::of_name("a").unwrap();
        let others: Vec<_> = (0..2)
            .map(|at| {
                let path = socket(&path, Node::from_random(tag, [0, at]));
                std::thread::spawn(move || {
                    for _ in 0..3000 {
                        // As a process does: its listener ends before its socket is removed, and may be taken for dead.
                        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
                        let _absent = fs::remove_file(&path);
                    }
                })
            })
            .collect();
        while !others.iter().all(std::thread::JoinHandle::is_finished) {
            living(&path).await.unwrap();
        }
        for other in others {
            other.join().unwrap();
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
