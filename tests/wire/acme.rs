//! Certificates that are ordered by ACME, with Let's Encrypt's test server as the authority.

mod disk;
mod pebble;
mod succession;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use self::pebble::{PATIENCE, Pebble, is_missing};
use crate::support::frames::Socket;
use crate::support::http::Client;
use crate::support::poller::{Poller, WEBSOCKET};
use crate::support::target::{Target, free_port};
use crate::support::tunnel::Tunnel;
use crate::support::{Setup, World, http2, is_so_within, metrics};

/// A folder for one test.
struct Storage(PathBuf);

impl Storage {
    fn new(test: &str) -> Self {
        let folder = format!("acme-{test}-{}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder))
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Starts a proxy with a second listener, by TLS, at this address.
fn start(secure: SocketAddr, tls: &str) -> World {
    World::start_with(&setup(secure, tls), Target::proxy)
}

fn setup(secure: SocketAddr, tls: &str) -> Setup {
    let sections = format!("[[listeners]]\nname = \"secure\"\nlisten = \"{secure}\"\ntls = {{ {tls} }}\n");
    Setup { sections, ..Setup::new().server("watch = 0") }
}

/// Returns the serial number of the certificate that a client is shown, if it is for this name and of that authority.
fn serial(secure: SocketAddr, name: &str, root: &Path) -> Option<String> {
    let script = "openssl s_client -connect \"$0\" -servername \"$1\" -verify_hostname \"$1\" -verify_return_error \
                  -CAfile \"$2\" </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null";
    let output = Command::new("timeout")
        .args(["20", "sh", "-c", script, &secure.to_string(), name])
        .arg(root)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.trim().to_owned()).filter(|text| text.starts_with("serial="))
}

/// Fails unless a client that asks for this name is shown no certificate.
#[track_caller]
fn refuse(secure: SocketAddr, name: &str) {
    let output = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-connect", &secure.to_string(), "-servername", name])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("CONNECTED") && told.contains("no peer certificate available"), "{output:?}");
}

/// Waits for the certificate of this name, other than `before`.
#[track_caller]
fn issued(world: &World, secure: SocketAddr, name: &str, root: &Path, before: Option<&str>) -> String {
    let mut found = None;
    let is_issued = is_so_within(PATIENCE, || {
        found = serial(secure, name, root).filter(|serial| Some(&**serial) != before);
        found.is_some()
    });
    assert!(is_issued, "no certificate for {name}:\n{}", world.log());
    found.unwrap()
}

/// Waits for a line of the log with these parts.
#[track_caller]
fn logged(world: &World, parts: &[&str]) {
    let has = || world.log().lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(is_so_within(PATIENCE, has), "no line with {parts:?}:\n{}", world.log());
}

/// Has the configuration read again.
fn reload(world: &World) {
    let answer = Client::connect(world.target.admin).post("/api/reload", "");
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &told["faults"]), (200, &json!([])));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A year.
const LONG: u64 = 31_536_000;

#[test]
fn two_lines_and_there_is_a_certificate_for_each_domain_which_a_restart_uses_again() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("first"));
    let mut pebble = Pebble::start(secure.port(), LONG);
    let tls = pebble.acme(&["one.test", "two.test"], &storage.0);
    let world = start(secure, &tls);
    let root = pebble.root();
    let serials = ["one.test", "two.test"].map(|name| issued(&world, secure, name, &root, None));
    assert_ne!(serials[0], serials[1]);
    // A client that asks for no known name gets the first.
    assert_eq!(serial(secure, "other.test", &root), None);
    // What is kept is nobody else's.
    let folder = pebble.folder(&storage.0);
    assert_eq!((mode(&folder), mode(&folder.join("one.test.pem"))), (0o700, 0o600));
    assert_eq!(mode(&folder.join("account.json")), 0o600);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["account.json", "lock", "one.test.pem", "two.test.pem"]);
    let metrics = || Client::connect(world.target.admin).get("/metrics").text().to_owned();
    let shown = || {
        let metrics = metrics();
        metrics.contains("polliwog_certificate_orders_total{outcome=\"done\"} 2")
            && metrics.contains("two.test.pem\",name=\"two.test\"}")
    };
    assert!(is_so_within(PATIENCE, shown), "{}", metrics());
    // The protocol of the ACME server leads nowhere now.
    let alpn = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-connect", &secure.to_string(), "-servername", "one.test"])
        .args(["-alpn", "acme-tls/1"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&alpn.stdout).contains("BEGIN CERTIFICATE"), "{alpn:?}");

    drop(world);
    pebble.kill();
    let world = start(secure, &tls);
    let again = ["one.test", "two.test"].map(|name| serial(secure, name, &root));
    assert_eq!(again, serials.map(Some), "{}", world.log());
    assert!(!world.log().contains("a certificate is ordered"), "{}", world.log());
}

#[test]
fn a_renewal_disconnects_nobody() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("renewal"));
    // It is due after some thirteen seconds. One that a busy machine has only then would count as a failure, with a pause of a
    // minute behind it.
    let pebble = Pebble::start(secure.port(), 20);
    let world = start(secure, &pebble.acme(&["a.test"], &storage.0));
    let root = pebble.root();
    let before = issued(&world, secure, "a.test", &root, None);
    let mut clients = [false, true].map(|is_http2| {
        let tunnel = Tunnel { name: "a.test", root: &root, http2: is_http2, shown: None }.to(secure);
        let way = if is_http2 { http2::open(tunnel) } else { tunnel };
        let mut poller = Poller::handshake(way);
        let polling = world.accept();
        let mut socket = Socket::connect(way, WEBSOCKET);
        let open = socket.text();
        assert!(open.starts_with("0{"), "{open}");
        poller.poll_later();
        (poller, polling, socket, world.accept())
    });
    issued(&world, secure, "a.test", &root, Some(&before));
    // The connections are those of before.
    for (poller, polling, socket, by_socket) in &mut clients {
        polling.send("still polling");
        assert_eq!(poller.parked().text(), "4still polling");
        poller.post_ok("4and pushing");
        polling.assert_text("and pushing");
        by_socket.send("still here");
        socket.assert_text("4still here");
        socket.send("4here");
        by_socket.assert_text("here");
    }
    assert!(!world.log().contains("the configuration was reloaded"));
}

#[test]
fn a_server_that_is_down_is_asked_again_and_meanwhile_the_other_listener_serves() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("down"));
    let mut pebble = Pebble::prepare(secure.port(), LONG);
    let world = start(secure, &pebble.acme(&["late.test"], &storage.0));
    logged(&world, &[" WARN ", "no certificate was issued", "late.test", "could not be asked", "failures=1"]);
    world.assert_healthy();
    let ready = metrics::readyz(world.target.admin);
    assert_eq!(ready.status, 200, "the ACME server may have to pass by a balancer");
    assert!(ready.text().contains("late.test has no certificate yet\n"), "{}", ready.text());
    refuse(secure, "late.test");
    logged(&world, &[" WARN ", "no certificate has been issued yet"]);
    assert!(metrics::has_counted(world.target.admin, "polliwog_certificate_orders_total", &["failed"]));
    pebble.run();
    issued(&world, secure, "late.test", &pebble.root(), None);
    assert!(!metrics::readyz(world.target.admin).text().contains("certificate"));
    assert!(!pebble.folder(&storage.0).join("late.test.failed").exists());
}

#[test]
fn a_server_that_is_down_at_a_renewal_leaves_the_old_certificate_in_use() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("dies"));
    let mut pebble = Pebble::start(secure.port(), 24);
    let world = start(secure, &pebble.acme(&["a.test"], &storage.0));
    let root = pebble.root();
    let before = issued(&world, secure, "a.test", &root, None);
    pebble.kill();
    logged(&world, &[" WARN ", "no certificate was issued", "a.test", "failures=1"]);
    // It has a third of its life left.
    assert_eq!(serial(secure, "a.test", &root), Some(before));
    // It has forgotten the account and all certificates.
    pebble.run();
    issued(&world, secure, "a.test", &pebble.root(), None);
}

#[test]
fn rubbish_in_the_storage_is_replaced() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("rubbish"));
    let pebble = Pebble::start(secure.port(), LONG);
    let folder = pebble.folder(&storage.0);
    fs::create_dir_all(&folder).unwrap();
    for name in ["a.test.pem", "account.json", "a.test.failed", "a.test.challenge.pem", "lock"] {
        fs::write(folder.join(name), "-----BEGIN CERTIFICATE-----\nrubbish\n").unwrap();
    }
    let world = start(secure, &pebble.acme(&["a.test"], &storage.0));
    issued(&world, secure, "a.test", &pebble.root(), None);
    logged(&world, &[" WARN ", "a kept certificate cannot be used", "a.test.pem"]);
    logged(&world, &[" WARN ", "an ACME account cannot be used", "account.json"]);
    assert_eq!(mode(&folder.join("a.test.pem")), 0o600);
}

#[test]
fn a_reload_orders_for_new_domains_and_keeps_the_others() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("reload"));
    let pebble = Pebble::start(secure.port(), LONG);
    let world = start(secure, &pebble.acme(&["a.test", "b.test"], &storage.0));
    let root = pebble.root();
    let [a, b] = ["a.test", "b.test"].map(|name| issued(&world, secure, name, &root, None));
    let config = world.target.folder().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"a.test\", \"b.test\"", "\"b.test\", \"c.test\"")).unwrap();
    reload(&world);
    assert_eq!(serial(secure, "b.test", &root), Some(b), "{}", world.log());
    issued(&world, secure, "c.test", &root, None);
    // Nobody asks for it any more, but it is there when it is wanted again.
    assert_eq!(serial(secure, "a.test", &root), None);
    fs::write(&config, text).unwrap();
    reload(&world);
    assert_eq!(serial(secure, "a.test", &root), Some(a), "{}", world.log());
    assert_eq!(world.log().matches("a certificate is ordered").count(), 3, "{}", world.log());
}

#[test]
fn processes_that_share_a_storage_order_once_and_answer_for_each_other() {
    if is_missing() {
        return;
    }
    let storage = Storage::new("shared");
    let (first, second) = (free_port(), free_port());
    // The ACME server always meets the first.
    let pebble = Pebble::start(first.port(), LONG);
    let tls = pebble.acme(&["a.test"], &storage.0);
    let root = pebble.root();
    let pair = [first, second].map(|secure| start(secure, &tls));
    let serials = [(&pair[0], first), (&pair[1], second)]
        .map(|(world, secure)| issued(world, secure, "a.test", &root, None));
    assert_eq!(serials[0], serials[1]);
    assert_eq!((pair[0].log() + &pair[1].log()).matches("a certificate was issued").count(), 1);
    // The second alone orders, and the first answers the server, though it does not want that domain itself.
    let config = pair[1].target.folder().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"a.test\"", "\"a.test\", \"b.test\"")).unwrap();
    // A reload keeps what it shows, whatever became of the file.
    fs::remove_file(pebble.folder(&storage.0).join("a.test.pem")).unwrap();
    reload(&pair[1]);
    assert_eq!(serial(second, "a.test", &root), Some(serials[1].clone()), "{}", pair[1].log());
    issued(&pair[1], second, "b.test", &root, None);
    assert!(pair[0].log().contains("the challenge of an ACME server was answered"));
    assert!(!pair[0].log().contains("b.test"), "{}", pair[0].log());
}

#[test]
fn a_listener_that_requires_client_certificates_answers_the_acme_server_all_the_same() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("clients"));
    let pebble = Pebble::start(secure.port(), LONG);
    let root = pebble.root().display().to_string();
    let tls = format!("{}, client_ca = {root:?}", pebble.acme(&["a.test"], &storage.0));
    let world = start(secure, &tls);
    logged(&world, &["a certificate was issued", "a.test"]);
}

#[test]
fn a_domain_that_leads_elsewhere_is_told_with_the_reason() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("elsewhere"));
    let pebble = Pebble::start(free_port().port(), LONG);
    let world = start(secure, &pebble.acme(&["a.test"], &storage.0));
    logged(
        &world,
        &[" WARN ", "no certificate was issued", "the ACME server refuses: Failed to connect", "again_in=\""],
    );
    let kept = fs::read_to_string(pebble.folder(&storage.0).join("a.test.failed")).unwrap();
    assert!(kept.starts_with("1 "), "{kept}");
    // A restart does not ask again at once.
    drop(world);
    let world = start(secure, &pebble.acme(&["a.test"], &storage.0));
    refuse(secure, "a.test");
    logged(&world, &[" WARN ", "no certificate has been issued yet"]);
    assert!(!world.log().contains("a certificate is ordered"), "{}", world.log());
}
