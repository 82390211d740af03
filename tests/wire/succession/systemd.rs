//! What systemd is told of the processes of a service.

use std::fs;
use std::os::unix::net::UnixDatagram;

use crate::support::processes::{Processes, kill};
use crate::support::{SOON, ms};

#[test]
fn systemd_learns_which_process_is_the_main_one() {
    let path = std::env::temp_dir().join(format!("polliwog-systemd-{}", std::process::id()));
    let _absent = fs::remove_file(&path);
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(SOON)).unwrap();
    let heard = || {
        let mut state = [0; 100];
        let len = systemd.recv(&mut state).unwrap();
        String::from_utf8(state[..len].to_vec()).unwrap()
    };
    let processes = Processes::start_in("30s", |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(heard(), format!("READY=1\nMAINPID={}", processes.world.target.id()));
    let youngest = processes.succeed();
    assert_eq!(heard(), format!("READY=1\nMAINPID={youngest}"));
    processes.signal("TERM");
    assert_eq!(heard(), "STOPPING=1");
    processes.await_end(youngest);
    fs::remove_file(&path).unwrap();
}

#[test]
fn systemd_hears_again_and_again_that_a_process_is_alive() {
    let path = std::env::temp_dir().join(format!("polliwog-watchdog-{}", std::process::id()));
    let _absent = fs::remove_file(&path);
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(SOON)).unwrap();
    let heard = |count: usize| {
        let mut state = [0; 100];
        let mut beats = 0;
        while beats < count {
            let len = systemd.recv(&mut state).unwrap();
            beats += usize::from(&state[..len] == b"WATCHDOG=1");
        }
    };
    let processes = Processes::start_in("30s", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000").env_remove("WATCHDOG_PID");
    });
    heard(3);
    // The successor is the one to be watched, and not the one that the variable names.
    let youngest = processes.succeed();
    processes.await_end(processes.world.target.id());
    while systemd.set_nonblocking(true).is_ok() && systemd.recv(&mut [0; 100]).is_ok() {}
    systemd.set_nonblocking(false).unwrap();
    heard(3);
    processes.signal("TERM");
    processes.await_end(youngest);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_successor_that_hangs_is_not_hidden_by_a_process_that_stays_for_its_sessions() {
    let path = std::env::temp_dir().join(format!("polliwog-hanging-{}", std::process::id()));
    let _absent = fs::remove_file(&path);
    let systemd = UnixDatagram::bind(&path).unwrap();
    let processes = Processes::start_in("30s", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000").env_remove("WATCHDOG_PID");
    });
    let (_poller, _peer) = processes.world.poller();
    let youngest = processes.succeed();
    kill("STOP", youngest);
    // Until what was sent before has been read, and then several times as long as between two reports.
    systemd.set_read_timeout(Some(ms(500))).unwrap();
    let silent = (0..100).any(|_| systemd.recv(&mut [0; 100]).is_err());
    kill("CONT", youngest);
    assert!(silent, "somebody reports that the service is alive");
    systemd.set_read_timeout(Some(SOON)).unwrap();
    systemd.recv(&mut [0; 100]).unwrap();
    fs::remove_file(&path).unwrap();
}
