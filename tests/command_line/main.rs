//! The binary as an operator meets it: commands, files, variables and exit codes.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod health;
mod papers;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "[[routes]]\npath = '/'\ndialect = 'engine.io'\nupstream = 'chat'\n\
                    [upstreams.chat]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:3000/'\n";

/// A working directory of one test, empty at first.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("command_line").join(test);
        let _absent = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn polliwog(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polliwog"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("POLLIWOG_") {
                command.env_remove(name);
            }
        }
        command.args(args).envs(env.iter().copied()).current_dir(&self.0).output().unwrap()
    }
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by a signal")
}

#[test]
fn check_summarizes_a_good_file() {
    let place = Place::new("good").write("config.toml", GOOD);
    let output = place.polliwog(&["check"], &[]);
    assert_eq!((code(&output), out(&output)), (0, "config.toml: ok (1 listener, 1 route, 1 upstream)\n"));
    assert_eq!(err(&output), "");
}

#[test]
fn check_warns_of_many_nodes_without_a_directory() {
    let peers: Vec<_> = (0..17).map(|number| format!("n{number} = '127.0.0.1:{}'", 7400 + number)).collect();
    let cluster = format!(
        "[cluster]\nlisten = '127.0.0.1:7400'\ntoken = 'a-secret-of-all-nodes'\npeers = {{ {} }}\n",
        peers.join(", ")
    );
    let routes = "[[routes]]\npath = '/live/'\ndialect = 'sockjs'\nupstream = 'u'\n\
                  [upstreams.u]\nkind = 'websocket'\nurl = 'ws://127.0.0.1:1/'\n";
    let place = Place::new("many").write("config.toml", cluster + routes);
    let output = place.polliwog(&["check"], &[]);
    assert_eq!(code(&output), 0);
    assert!(err(&output).contains("asks 17 nodes, more than 16: give them a directory"), "{}", err(&output));
}

#[test]
fn check_finds_a_socket_without_a_folder() {
    let place = Place::new("sockets");
    let (there, gone) = (place.0.join("a.sock"), place.0.join("gone/a.sock"));
    let of = |public: &PathBuf, admin: &PathBuf| {
        format!(
            "[server]\nlisten = 'unix:{}'\n[admin]\nlisten = 'unix:{}'\n{GOOD}",
            public.display(),
            admin.display()
        )
    };
    let place = place.write("config.toml", of(&there, &there.with_extension("admin")));
    assert_eq!(code(&place.polliwog(&["check"], &[])), 0);
    let place = place.write("config.toml", of(&gone, &gone.with_extension("admin")));
    let output = place.polliwog(&["check"], &[]);
    let faults = format!(
        "config.toml:2:10: server.listen: cannot listen on unix:{}: its folder is missing\n\
         config.toml:4:10: admin.listen: cannot listen on unix:{}: its folder is missing\n",
        gone.display(),
        gone.with_extension("admin").display()
    );
    assert_eq!((code(&output), err(&output)), (78, &*faults));
}

#[test]
fn check_accepts_the_file_on_either_side_of_the_command() {
    let two = format!("{GOOD}[server]\nlisten = ['127.0.0.1:1', '127.0.0.1:2']\n");
    let place = Place::new("named").write("other.toml", two).write("config.toml", "not this one");
    for args in [["check", "--config", "other.toml"], ["--config", "other.toml", "check"]] {
        let output = place.polliwog(&args, &[]);
        assert_eq!((code(&output), out(&output)), (0, "other.toml: ok (2 listeners, 1 route, 1 upstream)\n"));
    }
}

#[cfg(feature = "demo")]
#[test]
fn without_any_file_the_built_in_one_applies() {
    let output = Place::new("built_in").polliwog(&["check"], &[]);
    assert_eq!(
        (code(&output), out(&output)),
        (0, "built-in config.toml: ok (1 listener, 4 routes, 2 upstreams)\n")
    );
}

#[cfg(not(feature = "demo"))]
#[test]
fn without_the_demo_the_built_in_file_is_refused_with_an_explanation() {
    let output = Place::new("built_in").polliwog(&[], &[]);
    assert_eq!(code(&output), 78);
    assert!(err(&output).contains("built without the feature demo"), "{}", err(&output));
}

#[test]
fn check_reads_the_certificate_as_a_run_would() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = "[server]\nlisten = '127.0.0.1:0'\ntls = { certificate = 'cert.pem', key = 'key.pem' }\n";
    let place = Place::new("tls").write("config.toml", format!("{GOOD}{tls}"));
    let place = place.write("cert.pem", pair.cert.pem()).write("key.pem", pair.signing_key.serialize_pem());
    assert_eq!(code(&place.polliwog(&["check"], &[])), 0);
    let place = place.write("key.pem", "no key");
    for args in [&["check"][..], &["run"]] {
        let output = place.polliwog(args, &[]);
        assert_eq!((code(&output), out(&output)), (78, ""), "{args:?}");
        assert!(err(&output).contains("key.pem contains no private key"), "{}", err(&output));
    }
}

#[test]
fn a_folder_that_others_can_write_is_no_place_to_hand_listeners_over() {
    let place = Place::new("succession");
    let folder = place.0.join("run");
    let toml = format!("[succession]\ndirectory = {:?}\n{GOOD}", folder.to_str().unwrap());
    let place = place.write("config.toml", toml);
    // Made by the first process.
    assert_eq!(code(&place.polliwog(&["check"], &[])), 0);
    for mode in [0o700, 0o755, 0o770, 0o1777] {
        let _absent = fs::remove_dir(&folder);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let output = place.polliwog(&["check"], &[]);
        assert_eq!(code(&output), if mode & 0o022 == 0 { 0 } else { 78 }, "{mode:o}: {}", err(&output));
    }
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    for args in [["check"], ["run"]] {
        let output = place.polliwog(&args, &[]);
        assert_eq!(code(&output), 78);
        assert!(err(&output).starts_with("config.toml:2:13: succession.directory: "), "{}", err(&output));
        assert!(err(&output).contains("must be a folder of this user, in which nobody else can write"));
    }
}

#[test]
fn every_fault_has_its_line_and_the_exit_code_is_78() {
    let text = "[servr]\n[[routes]]\npath = 'x'\ndialect = 'engine.oi'\nupstream = 'caht'\nping_interval = 0\n\
                [upstreams.chat]\nkind = 'engine.io'\nurll = 'ws://h/'\n";
    let place = Place::new("faults").write("config.toml", text);
    for args in [&[][..], &["run"], &["check"]] {
        let output = place.polliwog(args, &[("POLLIWOG_LOG__LEVEL", "loud")]);
        assert_eq!((code(&output), out(&output)), (78, ""));
        let lines: Vec<_> = err(&output).lines().collect();
        let starts = [
            "config.toml:1:2: servr: unknown key; did you mean \"server\"?",
            "config.toml:3:8: routes[0].path: ",
            "config.toml:4:11: routes[0].dialect: found \"engine.oi\"",
            "config.toml:5:12: routes[0].upstream: found \"caht\"",
            "config.toml:6:17: routes[0].ping_interval: found 0",
            "config.toml:9:1: upstreams.chat.urll: unknown key; did you mean \"url\"?",
            "POLLIWOG_LOG__LEVEL: log.level: found \"loud\"",
        ];
        assert_eq!(lines.len(), starts.len(), "{lines:#?}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }
}

#[test]
fn a_variable_overrides_the_file() {
    let place = Place::new("variable").write("config.toml", GOOD);
    let output = place.polliwog(&["check"], &[("POLLIWOG_SERVER__LISTEN", "0.0.0.0:80,[::1]:81")]);
    assert_eq!((code(&output), out(&output)), (0, "config.toml: ok (2 listeners, 1 route, 1 upstream)\n"));
    let output = place.polliwog(&["check"], &[("POLLIWOG_SERVER__LISTNE", "0.0.0.0:80")]);
    assert_eq!(code(&output), 78);
    assert!(err(&output).contains("did you mean POLLIWOG_SERVER__LISTEN?"), "{}", err(&output));
}

#[test]
fn a_signal_right_at_the_start_does_not_end_the_process() {
    let place = Place::new("early_signal");
    let pipe = place.0.join("config.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut polliwog = Command::new(env!("CARGO_BIN_EXE_polliwog"))
        .current_dir(&place.0)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads its configuration now, and waits for the rest.
    let mut config = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    for signal in ["HUP", "USR1", "USR2", "TERM"] {
        let pid = polliwog.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
    write!(config, "{GOOD}[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n").unwrap();
    drop(config);
    let log = std::io::read_to_string(polliwog.stderr.take().unwrap()).unwrap();
    assert_eq!(polliwog.wait().unwrap().code(), Some(0), "{log}");
    // The process handles the SIGTERM as soon as it can.
    assert!(log.contains("draining") && log.contains("stopped"), "{log}");
}

#[test]
fn a_named_file_must_be_there() {
    let place = Place::new("missing").write("config.toml", GOOD);
    let output = place.polliwog(&["check", "--config", "absent.toml"], &[]);
    assert_eq!((code(&output), out(&output)), (78, ""));
    assert!(err(&output).starts_with("absent.toml: cannot be read: "), "{}", err(&output));
}

#[test]
fn a_file_that_is_no_text_or_no_file_is_refused() {
    let place = Place::new("no_text").write("config.toml", [0xff, 0xfe, 0x00]);
    for args in [&["check"][..], &["check", "--config", "."]] {
        let output = place.polliwog(args, &[]);
        assert_eq!(code(&output), 78);
        assert_eq!(err(&output).lines().count(), 1, "{}", err(&output));
    }
}

#[test]
fn version_and_help_go_to_the_standard_output() {
    let place = Place::new("help");
    let version = place.polliwog(&["--version"], &[]);
    assert_eq!((code(&version), out(&version)), (0, concat!("polliwog ", env!("CARGO_PKG_VERSION"), "\n")));
    for args in [&["--help"][..], &["check", "--help"]] {
        let help = place.polliwog(args, &[]);
        assert_eq!((code(&help), err(&help)), (0, ""));
        assert!(out(&help).contains("--config <FILE>"), "{}", out(&help));
    }
    // It reads no configuration.
    let help = place.polliwog(&["load", "--help"], &[]);
    assert_eq!((code(&help), err(&help), out(&help).contains("--config")), (0, "", false));
    let help = place.polliwog(&["--help"], &[]);
    assert!(out(&help).contains("check") && out(&help).contains("run") && out(&help).contains("78"));
}

#[test]
fn a_command_line_that_cannot_be_understood_ends_with_2() {
    let place = Place::new("usage").write("config.toml", GOOD);
    for args in [
        &["chekc"][..],
        &["--confg", "x"],
        &["--config"],
        &["check", "more"],
        &["load", "--config", "config.toml", "http://h"],
    ] {
        let output = place.polliwog(args, &[]);
        assert_eq!((code(&output), out(&output)), (2, ""), "{args:?}");
        assert!(err(&output).starts_with("error: ") && err(&output).contains("--help"), "{}", err(&output));
    }
    for args in
        [["--config", "config.toml", "load", "http://h"], ["load", "--config", "config.toml", "http://h"]]
    {
        let output = place.polliwog(&args, &[]);
        let reason = "error: load is a client and reads no configuration: leave out --config\n";
        assert!(code(&output) == 2 && err(&output).starts_with(reason), "{}", err(&output));
    }
}

#[test]
fn the_files_that_the_configuration_names_must_be_usable() {
    let text = format!(
        "{GOOD}[upstreams.other]\nkind = 'engine.io'\nurl = 'wss://h/'\ntls = {{ ca = 'ca.pem' }}\n\
         [server]\ntls = {{ certificate = 'cert.pem', key = 'key.pem' }}\n"
    );
    let place = Place::new("files").write("config.toml", text);
    for args in [&[][..], &["run"], &["check"]] {
        let output = place.polliwog(args, &[]);
        assert_eq!((code(&output), out(&output)), (78, ""));
        let lines: Vec<_> = err(&output).lines().collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(
            lines[0].starts_with("config.toml:11:7: upstreams.other.tls: ca.pem cannot be read: No such")
        );
        assert!(lines[1].starts_with("config.toml:13:7: server.tls: cert.pem cannot be read: No such"));
    }
    let pair = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let place = place.write("ca.pem", "").write("cert.pem", &certificate).write("key.pem", &certificate);
    let output = place.polliwog(&["check"], &[]);
    assert_eq!(code(&output), 78);
    let told = err(&output);
    assert!(
        told.contains("ca.pem contains no certificate") && told.contains("key.pem contains no private key"),
        "{told}"
    );
    let place = place.write("ca.pem", &certificate).write("key.pem", &key);
    let output = place.polliwog(&["check"], &[]);
    assert_eq!((code(&output), err(&output)), (0, ""));
    let ends: Vec<_> = out(&output).lines().skip(1).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(ends[0].starts_with("cert.pem: expires on Sun, 01 Jan 4096 00:00:00 GMT, in "), "{ends:?}");
    // A variable at fault is named, and files that no upstream uses are not read.
    let output = place.polliwog(&["check"], &[("POLLIWOG_UPSTREAMS__OTHER__TLS__CA", "absent.pem")]);
    assert_eq!(code(&output), 78);
    assert!(err(&output).contains("upstreams.other.tls: absent.pem cannot be read"), "{}", err(&output));
}

#[test]
fn check_reads_what_was_ordered_and_whether_more_could_be_kept() {
    let place = Place::new("ordered").write("file", "");
    let check = |acme: &str| {
        let text = format!("[server]\ntls = {{ acme = {{ domains = 'a.test', {acme} }} }}\n{GOOD}");
        fs::write(place.0.join("config.toml"), text).unwrap();
        place.polliwog(&["check"], &[])
    };
    let output = check("storage = 'new/state'");
    assert_eq!(code(&output), 0, "{}", err(&output));
    let line =
        "new/state/acme-v02.api.letsencrypt.org-directory/a.test.pem: no certificate that can be used yet";
    assert!(out(&output).lines().any(|told| told == line), "{}", out(&output));
    assert!(!place.0.join("new").exists(), "it is only looked at");
    for (acme, key) in [
        ("storage = 'file'", "server.tls.acme.storage: cannot use file: "),
        ("storage = 'new', ca = 'file'", "server.tls.acme.ca: file contains no certificate"),
        ("storage = 'new', ca = 'absent.pem'", "server.tls.acme.ca: absent.pem cannot be read"),
    ] {
        let output = check(acme);
        assert_eq!(code(&output), 78);
        assert!(err(&output).contains("config.toml:2:") && err(&output).contains(key), "{}", err(&output));
    }
}

#[test]
fn a_system_without_authorities_is_a_fault_only_where_they_are_asked_for() {
    let secure = GOOD.replace("ws://", "wss://");
    let none = [("SSL_CERT_FILE", "absent.pem"), ("SSL_CERT_DIR", "")];
    let place = Place::new("roots").write("config.toml", secure);
    assert_eq!(code(&place.polliwog(&["check"], &none)), 0);
    let roots = ("POLLIWOG_UPSTREAMS__CHAT__TLS__ROOTS", "system");
    let output = place.polliwog(&["check"], &[none[0], none[1], roots]);
    assert_eq!(code(&output), 78);
    assert!(err(&output).contains("this system has no certificate authorities"), "{}", err(&output));
    assert!(err(&output).contains("absent.pem"), "{}", err(&output));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_a_fault_and_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new("bytes").write("config.toml", GOOD);
    let value = std::ffi::OsStr::from_bytes(&[0xff]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_polliwog"));
    let output =
        command.arg("check").env("POLLIWOG_LOG__LEVEL", value).current_dir(&place.0).output().unwrap();
    assert_eq!((code(&output), err(&output)), (78, "POLLIWOG_LOG__LEVEL: found a value that is not UTF-8\n"));
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("not tried: there is no systemd-analyze");
        return;
    }
    let mut place = Place::new("units");
    for unit in ["polliwog.service", "polliwog.socket"] {
        let text = fs::read_to_string(format!("{}/deploy/{unit}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        // It must be there.
        place = place.write(unit, text.replace("/usr/local/bin/polliwog", env!("CARGO_BIN_EXE_polliwog")));
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "./polliwog.service", "./polliwog.socket"]).current_dir(&place.0);
    let Output { status, stdout, stderr } = verify.output().unwrap();
    // An unknown key is a line, and no failure.
    let said = [stdout, stderr].concat();
    assert!(status.success() && said.is_empty(), "{status}\n{}", String::from_utf8_lossy(&said));
}
