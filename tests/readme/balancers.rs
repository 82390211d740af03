//! The lines for balancers of docs/cluster.md, which send requests home: both programs take them.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use super::root;

const HAPROXY: &str = "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n\
                       frontend all\n  bind 127.0.0.1:1\n  default_backend polliwog\n";

#[test]
fn haproxy_takes_the_lines_of_the_page() {
    takes("haproxy", &["-c", "-f"], &format!("{HAPROXY}{}\n", block("haproxy")));
}

#[test]
fn nginx_takes_the_lines_of_the_page() {
    let block = block("nginx");
    // The page leaves out what is alike.
    let a = block.lines().find(|line| line.starts_with("upstream a ")).unwrap();
    let (b, c) = (a.replace(" a ", " b "), a.replace(" a ", " c "));
    let server = "server { listen 127.0.0.1:1; location /socket.io/ { proxy_pass http://$home; } }";
    let text =
        format!("pid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{block}\n{b}\n{c}\n{server}\n}}\n");
    takes("nginx", &["-t", "-q", "-e", "stderr", "-p", env!("CARGO_TARGET_TMPDIR"), "-c"], &text);
}

/// Returns the page's block in this language.
fn block(language: &str) -> String {
    let page = fs::read_to_string(root().join("docs/cluster.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

/// Has a program check a configuration.
#[expect(clippy::print_stderr, reason = "it says that it could not be tried")]
fn takes(program: &str, args: &[&str], text: &str) {
    if Command::new(program).arg("-v").output().is_err() {
        assert!(env::var_os("CI").is_none(), "{program} is installed in CI");
        eprintln!("not tested: {program} is not installed (apt-get install {program})");
        return;
    }
    let name = format!("page-{program}-{}.cfg", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).unwrap();
    let output = Command::new(program).args(args).arg(&file).output().unwrap();
    fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
