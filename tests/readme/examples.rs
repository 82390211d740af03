//! The programs of docs/examples, with each other: one loads a proxy whose backend is the other.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

/// What ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _code = self.0.wait();
    }
}

/// Returns the folder of the examples, which `cargo test --test` alone does not build.
fn built() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_polliwog")).parent().unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--examples", "--profile", profile])
        .current_dir(super::root());
    assert!(cargo.status().unwrap().success());
    folder.join("examples")
}

/// Starts a program, and returns what stands behind `word` in its first line that has it.
fn start(command: &mut Command, word: &str) -> (Running, String) {
    let mut child = Running(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let found = lines.by_ref().find_map(|line| {
        let behind = line.split_once(word)?.1;
        Some(behind.split([' ', '"']).next().unwrap().to_owned())
    });
    // Or it would wait for room to write.
    thread::spawn(move || lines.for_each(drop));
    (child, found.unwrap())
}

#[test]
fn the_load_finds_no_fault_in_a_proxy_with_the_backend_of_the_examples() {
    let examples = built();
    let (_backend, backend) =
        start(Command::new(examples.join("mux_backend")).arg("127.0.0.1:0"), "listening on ");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("examples-{}.toml", std::process::id()));
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[[routes]]\npath = \"/echo/\"\n\
         dialect = \"engine.io\"\nupstream = \"u\"\n[upstreams.u]\nkind = \"mux\"\nurl = \"ws://{backend}/\"\n"
    );
    fs::write(&config, text).unwrap();
    let mut polliwog = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    let (_polliwog, _) = start(polliwog.args(["run", "--config"]).arg(&config), "listening");
    let load = Command::new(examples.join("load")).arg(format!("http://127.0.0.1:{port}/echo/")).output();
    fs::remove_file(&config).unwrap();
    let load = load.unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stdout));
}
