//! The admin listener with TLS: a certificate of its authorities lets an operator in.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::ask;
use crate::certificates::Files;
use crate::support::target::Target;
use crate::support::tunnel::Tunnel;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Setup, World, eventually};

#[test]
fn a_certificate_of_its_authorities_lets_an_operator_in_and_all_may_ask_for_its_health() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let files = Files::new("admin");
    let server = files.pair("admin", "admin", &["admin.test"]);
    files.pair("alice", "alice", &["client.test"]);
    let line = format!(
        "tls = {}, client_ca = {:?}, client_auth = \"optional\" }}",
        server.trim_end_matches('}'),
        files.path("alice.pem")
    );
    let world = World::start_with(&Setup { admin: line.leak(), ..Setup::new() }, Target::proxy);
    let root = files.path("admin.pem");
    let alice = ["alice.pem", "alice.key"].map(|file| files.path(file));
    let by = |shown: Option<[&Path; 2]>| {
        Tunnel { name: "admin.test", root: Path::new(&root), http2: false, shown }.to(world.target.admin)
    };
    let (nobody, operator) = (by(None), by(Some(alice.each_ref().map(Path::new))));
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 403), ("/api/sessions", 403)] {
        assert_eq!(ask(nobody, "GET", path, &[]).status, status, "{path}");
        assert_eq!(ask(operator, "GET", path, &[]).status, 200, "{path}");
    }
    assert_eq!(ask(nobody, "POST", "/api/reload", &[]).status, 403);
    // A page that is open in an operator's browser: its name is ours, as TLS has shown.
    let page = [("Host", "admin.test"), ("Origin", "https://admin.test"), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(ask(operator, "POST", "/api/reload", &page).status, 200);
    let other =
        [("Host", "admin.test"), ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(ask(operator, "POST", "/api/reload", &other).status, 403);

    let config = world.target.folder().join("config.toml");
    let health = || {
        let asked =
            Command::new(env!("CARGO_BIN_EXE_polliwog")).arg("health").arg("--config").arg(&config).output();
        asked.unwrap()
    };
    let told = health();
    assert!(told.status.success(), "{told:?}");

    // Another certificate, from a reload on.
    let before = fs::read_to_string(&root).unwrap();
    files.pair("admin", "renewed", &["admin.test"]);
    assert_ne!(fs::read_to_string(&root).unwrap(), before);
    assert_eq!(ask(operator, "POST", "/api/reload", &[]).status, 200);
    eventually(|| health().status.success(), || format!("{:?}", health()));
}
