//! The file of a Unix socket: made for those who may connect, and removed by the process that listened last.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a Unix socket. It is removed when this is dropped, if this process owns it by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: Arc<Path>,
    /// Which file it is: another process may have made one of the same name.
    id: Option<(u64, u64)>,
    /// Whether a supervisor has made it, which also removes it.
    pub(super) is_lent: bool,
    is_owned: AtomicBool,
}

impl SocketFile {
    /// Binds a socket to a path, which may have a file that nobody listens at any more.
    pub(super) fn bind(path: &Arc<Path>, mode: u32, backlog: i32) -> io::Result<(Self, UnixListener)> {
        let address = SockAddr::unix(path)?;
        let new = || Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None);
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file that is no socket",
                ));
            }
            match new()?.connect(&address) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tracing::info!(path = %path.display(), "the socket of a process that died is removed");
                    fs::remove_file(path)?;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                // Its queue may be full.
                Ok(()) | Err(_) => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        let socket = new()?;
        socket.bind(&address).map_err(|error| {
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            if is_missing { io::Error::new(error.kind(), "its folder is missing") } else { error }
        })?;
        let file = Self::at(path, false);
        file.own();
        // Nobody can connect yet.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        socket.listen(backlog)?;
        Ok((file, OwnedFd::from(socket).into()))
    }

    /// Returns the file of a socket that was handed over. It stays until this process [owns](Self::own) it.
    pub(super) fn at(path: &Arc<Path>, is_lent: bool) -> Self {
        let id = fs::symlink_metadata(path).ok().as_ref().map(id);
        Self { path: Arc::clone(path), id, is_lent, is_owned: AtomicBool::new(false) }
    }

    /// Has it removed by this process, unless it is lent.
    pub(super) fn own(&self) {
        self.is_owned.store(!self.is_lent, Ordering::Relaxed);
    }

    /// Has it stay: another process, or another listener, accepts there.
    pub(super) fn leave(&self) {
        self.is_owned.store(false, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_same =
            || self.id.is_some() && fs::symlink_metadata(&self.path).ok().as_ref().map(id) == self.id;
        if *self.is_owned.get_mut() && is_same() {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> (Self, Arc<Path>) {
            let path = std::env::temp_dir().join(format!("polliwog-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let file = path.join("a b.sock").into();
            (Self(path), file)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bind(path: &Arc<Path>) -> io::Result<(SocketFile, UnixListener)> {
        SocketFile::bind(path, 0o640, 16)
    }

    #[test]
    fn a_file_is_replaced_only_if_nobody_answers() {
        let (_folder, path) = Folder::new("stale");
        let (file, listener) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // Its process dies.
        file.leave();
        drop((file, listener));
        assert!(UnixStream::connect(&path).is_err() && path.exists());
        let (file, listener) = bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop((file, listener));
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(path.exists());
    }

    #[test]
    fn a_file_of_somebody_else_is_not_removed() {
        let (_folder, path) = Folder::new("others");
        let (file, _listener) = bind(&path).unwrap();
        // Moved away, so that its number is not used again.
        fs::rename(&path, path.with_extension("old")).unwrap();
        let (_theirs, _other) = bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
        let lent = SocketFile::at(&path, true);
        lent.own();
        drop(lent);
        assert!(path.exists());
    }
}
