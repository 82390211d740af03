//! The certificates of the listeners, as `openssl` and `curl` see them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::target::Target;
use crate::support::{Peer, Setup, World, eventually};

mod http2;

/// A folder with the certificates of one test.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(test: &str) -> Self {
        let folder = format!("certificates-{test}-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a certificate for these names and its key to the files of a name, and returns what TOML calls both. `subject` is
    /// what `openssl` shows of it.
    pub(crate) fn pair(&self, file: &str, subject: &str, names: &[&str]) -> String {
        self.pair_until(file, subject, names, 32_503_680_000)
    }

    /// Writes one that expires at this second after 1970.
    fn pair_until(&self, file: &str, subject: &str, names: &[&str], end: u64) -> String {
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        params.distinguished_name.push(DnType::CommonName, subject);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (certificate_file, key_file) =
            (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        format!("{{ certificate = {certificate_file:?}, key = {key_file:?} }}")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Starts a proxy with these certificates.
fn start(pairs: &[String]) -> World {
    let line = format!("tls.certificates = [{}]\nwatch = 0", pairs.join(", "));
    World::start_with(&Setup::new().server(&line), Target::proxy)
}

/// Shakes hands by `openssl s_client` with these further arguments, asks for a page, and returns what it prints.
fn shake(world: &World, arguments: &[&str]) -> String {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    ask(world, arguments, request, "HTTP/1.1 404 ")
}

/// Sends a request by `openssl s_client` with these further arguments, and returns what it prints.
fn ask(world: &World, arguments: &[&str], request: &str, status: &str) -> String {
    let address = world.addr.to_string();
    let mut openssl = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-ign_eof", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut openssl.stdin.take().unwrap(), request.as_bytes()).unwrap();
    let Output { stdout, stderr, .. } = openssl.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&stdout).into_owned();
    assert!(told.contains(status), "{told}\n{}", String::from_utf8_lossy(&stderr));
    told
}

/// Returns the subject of the certificate that a client with these arguments is shown.
fn shown(world: &World, arguments: &[&str]) -> String {
    let told = shake(world, arguments);
    let subject = told.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    subject.unwrap_or_else(|| panic!("{told}")).to_owned()
}

/// Has the configuration read again. Returns what is wrong with it.
fn reload(world: &World) -> Vec<Value> {
    let answer = Client::connect(world.target.admin).post("/api/reload", "");
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    told["faults"].as_array().unwrap().clone()
}

#[test]
fn each_client_is_shown_the_certificate_with_the_name_that_it_asks_for() {
    let files = Files::new("names");
    let world = start(&[
        files.pair("first", "the first", &["first.test"]),
        files.pair("wild", "the wildcard", &["*.example.test"]),
        files.pair("exact", "the exact one", &["www.example.test"]),
    ]);
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, subject) in [
            ("first.test", "the first"),
            ("unknown.test", "the first"),
            ("API.example.test", "the wildcard"),
            ("www.example.test", "the exact one"),
        ] {
            assert_eq!(shown(&world, &[version, "-servername", name]), subject, "{version} {name}");
        }
        assert_eq!(shown(&world, &[version, "-noservername"]), "the first");
    }
    // A client that verifies the name.
    let port = world.addr.port();
    for (file, name, is_served) in [
        ("wild", "api.example.test", true),
        ("exact", "www.example.test", true),
        ("wild", "a.api.example.test", false),
    ] {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--cacert", &files.path(&format!("{file}.pem"))])
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .arg(format!("https://{name}:{port}/engine.io/?EIO=4&transport=polling"))
            .output()
            .unwrap();
        assert_eq!(output.stdout.starts_with(b"0{\"sid\":"), is_served, "{name}: {output:?}");
    }
}

#[test]
fn certificates_are_replaced_and_sessions_of_tls_are_resumed_over_it() {
    let files = Files::new("replaced");
    let world = start(&[files.pair("a", "a of old", &["a.test"]), files.pair("b", "b of old", &["b.test"])]);
    let file = files.path("session");
    // By a ticket of either version, and by an id.
    let kinds = [&["-tls1_3"][..], &["-tls1_2"], &["-tls1_2", "-no_ticket"]];
    for (index, kind) in kinds.into_iter().enumerate() {
        let first = shake(&world, &[kind, &["-servername", "b.test", "-sess_out", &file]].concat());
        assert!(first.contains("New, TLS"), "{first}");
        let [a, b] = ["a", "b"].map(|name| {
            let subject = format!("{name} number {index}");
            files.pair(name, &subject, &[&format!("{name}.test")]);
            subject
        });
        assert_eq!(reload(&world), [] as [Value; 0]);
        let again = shake(&world, &[kind, &["-servername", "b.test", "-sess_in", &file]].concat());
        assert!(again.contains("Reused, TLS"), "{kind:?}: {again}");
        assert_eq!(shown(&world, &[kind, &["-servername", "a.test"]].concat()), a);
        assert_eq!(shown(&world, &[kind, &["-servername", "b.test"]].concat()), b);
    }
}

#[test]
fn certificates_that_do_not_fit_together_change_nothing() {
    let files = Files::new("faults");
    let world = start(&[files.pair("a", "a", &["a.test"]), files.pair("b", "b", &["b.test"])]);
    let old = ["pem", "key"].map(|end| fs::read(files.path(&format!("b.{end}"))).unwrap());
    let put_back = || {
        for (end, bytes) in ["pem", "key"].into_iter().zip(&old) {
            fs::write(files.path(&format!("b.{end}")), bytes).unwrap();
        }
    };
    let told = |problem: &str| {
        let faults = reload(&world);
        assert_eq!((faults.len(), &faults[0]["key"]), (1, &json!("server.tls")), "{faults:?}");
        assert!(faults[0]["problem"].as_str().unwrap().contains(problem), "{faults:?}");
        assert_eq!(shown(&world, &["-servername", "b.test"]), "b");
        put_back();
    };
    files.pair("b", "again", &["b.test", "a.test"]);
    told("b.pem names a.test, as ");
    files.pair("b", "again", &["10.0.0.1"]);
    told("b.pem names no host");
    files.pair("b", "again", &["b.test"]);
    fs::write(files.path("b.key"), &old[1]).unwrap();
    told("b.pem cannot be used with the key in ");
    fs::write(files.path("b.pem"), "rubbish").unwrap();
    told("b.pem contains no certificate");
    fs::write(files.path("b.pem"), &old[0][..old[0].len() / 2]).unwrap();
    told("b.pem is not well-formed PEM");
    assert_eq!(reload(&world), [] as [Value; 0]);
}

#[test]
fn an_end_that_is_near_is_told_and_an_expired_certificate_is_served() {
    let files = Files::new("ends");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let in_days = |days: u64| now + days * 86_400 + 3_600;
    let near = files.pair_until("near", "near", &["near.test"], in_days(20));
    let far = files.pair_until("far", "far", &["far.test"], in_days(22));
    let past = files.pair_until("past", "past", &["past.test"], 999_993_600);
    let world = start(&[near, far, past]);
    assert_eq!(shown(&world, &["-servername", "past.test"]), "past");
    let warnings = || -> Vec<String> {
        let log = world.log();
        log.lines().filter(|line| line.contains(" a certificate expire")).map(str::to_owned).collect()
    };
    eventually(|| warnings().len() == 2, || "two are told".to_owned());
    let warnings = warnings();
    let is_told = |parts: [&str; 3]| warnings.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(is_told([" WARN ", " GMT, in 20 days", "near.pem name=\"near.test\""]), "{warnings:#?}");
    assert!(
        is_told([" WARN ", "expired on Sun, 09 Sep 2001 00:00:00 GMT, ", "past.pem name=\"past.test\""]),
        "{warnings:#?}"
    );
    let metrics = || Client::connect(world.target.admin).get("/metrics").text().to_owned();
    let line = format!(
        "polliwog_certificate_expiry_timestamp_seconds{{file={:?},name=\"past.test\"}} 999993600",
        files.path("past.pem")
    );
    assert!(metrics().lines().any(|one| one == line), "{}", metrics());
    // Renewed, and so no longer shown as it was.
    files.pair_until("past", "past", &["past.test"], in_days(90));
    assert_eq!(reload(&world), [] as [Value; 0]);
    eventually(|| !metrics().contains(&line), || "the metric follows".to_owned());
    assert!(metrics().contains("name=\"past.test\"} "));
}

/// Starts a proxy that knows clients by their certificates, of which `known.pem` is one.
fn start_for_clients(files: &Files, more: &str) -> World {
    let certificate = files.pair("server", "server", &["server.test"]);
    files.pair("known", "M\u{fc}ller, A", &["client.test"]);
    files.pair("other", "other", &["client.test"]);
    let pair = certificate.trim_end_matches('}');
    let line = format!(
        "tls = {pair}, client_ca = {:?} {more} }}\ntrusted_proxies = \"127.0.0.1\"",
        files.path("known.pem")
    );
    World::start_with(&Setup::new().server(&line), Target::proxy)
}

/// Begins a session by `curl` with these further arguments, if it is let in.
fn begin(world: &World, files: &Files, arguments: &[&str]) -> bool {
    let port = world.addr.port();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert", &files.path("server.pem")])
        .args(["--resolve", &format!("server.test:{port}:127.0.0.1")])
        .args(arguments)
        .arg(format!("https://server.test:{port}/engine.io/?EIO=4&transport=polling"))
        .output()
        .unwrap();
    output.stdout.starts_with(b"0{\"sid\":")
}

const LIES: [&str; 4] = ["-H", "X-Client-Cert-Subject: CN=root", "-H", "X_Client_Cert_Subject: CN=root"];

/// Returns what the backend of the next session is told of its client's certificate.
fn told(world: &World) -> Vec<String> {
    told_at(&world.accept())
}

/// Returns what a backend was told of its client's certificate.
pub(crate) fn told_at(peer: &Peer) -> Vec<String> {
    let lines =
        ["x-client-cert-subject", "x_client_cert_subject"].map(|name| peer.opening.headers_named(name));
    lines.concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn the_backend_learns_whose_certificate_was_verified_and_no_client_can_say_so() {
    let files = Files::new("optional");
    let world = start_for_clients(&files, ", client_auth = \"optional\"");
    let [cert, key, other, others_key] =
        ["known.pem", "known.key", "other.pem", "other.key"].map(|name| files.path(name));
    let shown = [&["--cert", &*cert, "--key", &key][..], &LIES].concat();
    assert!(begin(&world, &files, &shown));
    assert_eq!(told(&world), ["CN=M\\C3\\BCller\\, A"]);
    // Without one, and the header is of no use.
    assert!(begin(&world, &files, &LIES));
    assert_eq!(told(&world), [] as [&str; 0]);
    // One of somebody else is not the same as none.
    assert!(!begin(&world, &files, &["--cert", &other, "--key", &others_key]));
    // A session of TLS that is resumed keeps its client's name.
    let session = files.path("session");
    for version in ["-tls1_2", "-tls1_3"] {
        shake(&world, &[version, "-cert", &cert, "-key", &key, "-sess_out", &session]);
        let again = ask(&world, &[version, "-sess_in", &session], BEGIN, "HTTP/1.1 200 ");
        assert!(again.contains("Reused, TLS"), "{again}");
        assert_eq!(told(&world), ["CN=M\\C3\\BCller\\, A"], "{version}");
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let files = Files::new("required");
    let world = start_for_clients(&files, "");
    let [cert, key] = ["known.pem", "known.key"].map(|name| files.path(name));
    assert!(!begin(&world, &files, &[]));
    assert!(begin(&world, &files, &["--cert", &cert, "--key", &key]));
    assert_eq!(told(&world), ["CN=M\\C3\\BCller\\, A"]);
    // Once they need none, a session that was begun as somebody's is not resumed.
    let session = files.path("session");
    shake(&world, &["-tls1_3", "-cert", &cert, "-key", &key, "-sess_out", &session]);
    let config = world.target.folder().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("client_ca = ", "client_auth = \"optional\", client_ca = ")).unwrap();
    assert_eq!(reload(&world), [] as [Value; 0]);
    let again = ask(&world, &["-tls1_3", "-sess_in", &session], BEGIN, "HTTP/1.1 200 ");
    assert!(again.contains("New, TLS"), "{again}");
    assert_eq!(told(&world), [] as [&str; 0]);
}

const BEGIN: &str =
    "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
