//! `health`, as an image without a shell asks.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Place, code, err, out};

/// A proxy that runs in a place until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Returns a place whose proxy has this backend, and sockets of its own.
fn place(name: &str, backend: SocketAddr) -> Place {
    let place = Place::new(name);
    let (public, admin) = (place.0.join("public"), place.0.join("admin"));
    let text = format!(
        "[server]\nlisten = 'unix:{}'\ndrain_delay = '60s'\n[admin]\nlisten = 'unix:{}'\n\
         [[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'chat'\n\
         [upstreams.chat]\nkind = 'websocket'\nurl = 'ws://{backend}/'\n",
        public.display(),
        admin.display()
    );
    place.write("config.toml", text)
}

fn run(place: &Place) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    command.current_dir(&place.0).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

/// Waits until `health` with these arguments has this exit code, and returns what it printed.
fn eventually(place: &Place, args: &[&str], expected: i32) -> String {
    let mut looks = 0..400;
    loop {
        let output = place.polliwog(&[&["health"], args].concat(), &[]);
        if code(&output) == expected {
            return out(&output).to_owned();
        }
        assert!(
            looks.next().is_some(),
            "{args:?} never ended with {expected}: {} {}",
            out(&output),
            err(&output)
        );
        // Between two looks.
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn health_is_that_of_the_process_with_this_configuration() {
    // It takes connections, which is all that is looked at.
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place("health", backend.local_addr().unwrap());
    let nobody = place.polliwog(&["health"], &[]);
    assert_eq!((code(&nobody), out(&nobody)), (1, ""));
    assert!(
        err(&nobody).contains("unix:") && err(&nobody).contains("admin: No such file"),
        "{}",
        err(&nobody)
    );

    let running = run(&place);
    assert_eq!(eventually(&place, &[], 0), "ok\n");
    assert!(eventually(&place, &["--ready"], 0).starts_with("ready\n"));
    // It runs although its file has a fault by now.
    let text = fs::read_to_string(place.0.join("config.toml")).unwrap();
    fs::write(place.0.join("config.toml"), text.clone() + "[[routes]]\npath = 7\n").unwrap();
    assert_eq!(code(&place.polliwog(&["check"], &[])), 78);
    assert_eq!(eventually(&place, &[], 0), "ok\n");

    fs::write(place.0.join("config.toml"), text).unwrap();
    let signalled = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert!(eventually(&place, &["--ready"], 1).starts_with("draining\n"));
    assert_eq!(eventually(&place, &[], 0), "ok\n");
}

#[test]
fn a_file_that_is_not_there_says_nothing_of_health() {
    let output = Place::new("health_nowhere").polliwog(&["health", "--config", "nowhere.toml"], &[]);
    assert_eq!((code(&output), out(&output)), (78, ""));
}
