//! What systemd is told of a service of type `notify`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Reports that this process serves, and that it is the service's main process. Does nothing outside systemd.
pub fn notify_ready() {
    notify(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// Reports that this process reads its configuration again; [`notify_reloaded`] follows.
pub fn notify_reloading() {
    // systemd compares it with when it sent its signal.
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// Reports that the configuration was read, and taken over or refused. It names no main process: a successor may have become it
/// meanwhile.
pub fn notify_reloaded() {
    notify("READY=1");
}

/// Reports that this process stops, and with it the service.
pub fn notify_stopping() {
    notify("STOPPING=1");
}

/// Reports again and again that this process is alive, if the unit has `WatchdogSec`. It never ends; a runtime on which
/// nothing moves any more does not report, and systemd then starts the service again.
pub async fn notify_alive() {
    let variable = |name| std::env::var(name).ok();
    let Some(period) = period(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID")) else {
        return std::future::pending().await;
    };
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        notify("WATCHDOG=1");
    }
}

/// Returns how often systemd is to hear of a process: twice in the time that it waits (`sd_watchdog_enabled`). The
/// variables of another process mean nothing.
fn period(micros: Option<String>, process: Option<String>) -> Option<Duration> {
    let is_ours = process.is_none_or(|process| process == std::process::id().to_string());
    let limit = Duration::from_micros(micros?.parse().ok()?);
    (is_ours && !limit.is_zero()).then(|| limit / 2)
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
    let socket = UnixDatagram::unbound()?;
    // The runtime's threads wait as well.
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.send_to_addr(state.as_bytes(), &to)?;
    Ok(())
}

/// A supervisor that takes nothing any more does not hold this process up.
const TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_of_a_process_twice_in_the_time_that_it_waits() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(period(text("60000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(
            period(text("60000000"), Some(std::process::id().to_string())),
            Some(Duration::from_secs(30))
        );
        assert_eq!(period(text("60000000"), text("1")), None, "it is meant for another process");
        for none in [None, text("0"), text("often")] {
            assert_eq!(period(none, None), None);
        }
    }

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

    #[test]
    fn a_supervisor_that_takes_nothing_is_not_waited_for() {
        let name = format!("polliwog-notify-full-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let _socket = UnixDatagram::bind_addr(&hidden).unwrap();
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        while filler.send_to_addr(b"WATCHDOG=1", &hidden).is_ok() {}
        assert_eq!(
            send(format!("@{name}").as_ref(), "READY=1").unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }
}
