//! What systemd is told of a service of type `notify`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Reports that this process serves, and that it is the service's main process. Does nothing outside systemd.
pub fn notify_ready() {
    notify(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// Reports that this process reads its configuration again; [`notify_ready`] follows.
pub fn notify_reloading() {
    // systemd compares it with when it sent its signal.
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// Reports that this process stops, and with it the service.
pub fn notify_stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    if let Some(to) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&to, state)
    {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}

fn send(to: &OsStr, state: &str) -> io::Result<()> {
    // A name that begins with @ is not in the file system.
    let to = match to.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(to)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reaches_a_socket_with_a_path_and_one_without() {
        let folder = std::env::temp_dir().join(format!("polliwog-notify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let name = format!("polliwog-notify-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        for (socket, to) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().to_owned()),
            (UnixDatagram::bind_addr(&hidden).unwrap(), format!("@{name}").into()),
        ] {
            send(&to, "READY=1").unwrap();
            let mut heard = [0; 16];
            let len = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..len], b"READY=1");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
