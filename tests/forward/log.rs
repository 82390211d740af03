//! A log is best effort: if it can't be written, everything else goes on.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Stdio};

use crate::support::http::Client;
use crate::support::target::Target;
use crate::support::{SOON, metrics};

/// Serves requests, each of which logs lines, and drains cleanly.
fn assert_unharmed(format: &str, stderr: impl Fn() -> Stdio) {
    let surround = |command: &mut Command| {
        command.stderr(stderr());
    };
    // Nothing listens on port 1, which is logged as a WARN.
    let mut target = Target::proxy_in(surround, "", |public, admin| {
        format!(
            "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n[log]\nlevel = \"trace\"\n\
             format = \"{format}\"\n[[routes]]\npath = \"/\"\ndialect = \"http\"\nupstream = \"b\"\n\
             [upstreams.b]\nkind = \"http\"\nurl = \"http://127.0.0.1:1\"\n"
        )
    });
    for _ in 0..5 {
        Client::connect(target.public).get("/").assert(502, "the upstream is down\n");
        assert_eq!(metrics::livez(target.admin).status, 200);
    }
    target.signal("TERM");
    assert_eq!(target.exit_within(SOON).expect("it ends").code(), Some(0));
}

#[test]
fn a_full_disk_for_the_log_fails_no_request() {
    for format in ["text", "json"] {
        assert_unharmed(format, || File::options().write(true).open("/dev/full").unwrap().into());
    }
}

#[test]
fn a_log_pipe_without_a_reader_fails_no_request() {
    for format in ["text", "json"] {
        assert_unharmed(format, || pipe().unwrap().1.into());
    }
}
