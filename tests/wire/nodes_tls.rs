//! TLS between nodes: both sides show a certificate of the nodes' authority.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;

use super::support::http::Client;
use super::support::target::{Target, free_port};
use super::support::world::TOKEN;
use super::support::{Poller, SOON, Setup, World, eventually};

/// An authority of nodes, and a folder with its file and theirs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = format!("nodes-tls-{}-{name}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Returns the line of a node with a certificate for this name.
    fn line(&self, name: &str) -> String {
        self.line_with_ca(name, &self.folder.join("ca.pem"))
    }

    fn line_with_ca(&self, name: &str, ca: &Path) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (certificate_file, key_file) = (self.folder.join("node.pem"), self.folder.join("node.key"));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        let [certificate, key, ca] = [&*certificate_file, &*key_file, ca].map(Path::display);
        format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\", ca = \"{ca}\" }}")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn nodes_with_certificates_of_one_authority_ask_each_other() {
    let authority = Authority::new("one");
    let world = World::foreign_with(&Setup::new(), &authority.line("127.0.0.1"));
    let (mut poller, peer) = world.poller();
    let long = "x".repeat(300_000);
    poller.post_ok(format!("4{long}"));
    peer.assert_text(&long);
    peer.send(&long);
    assert_eq!(poller.poll(), format!("4{long}"));
    let mut socket = poller.upgraded();
    socket.send("4up");
    peer.assert_text("up");
    drop(socket);
    peer.assert_closed();
    // The listener speaks to nobody without a certificate, and to nobody in the clear.
    let mut client = Client::connect(world.peers[0]);
    client.send_get("/");
    assert!(client.ends_within(SOON));
}

#[test]
fn a_node_of_another_authority_or_name_or_in_the_clear_is_refused_and_told() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let ours = authority.line("127.0.0.1");
    let ca = authority.folder.join("ca.pem");
    let cases = [
        ("another authority", other.line("127.0.0.1"), "not issued by a trusted authority"),
        // It trusts the others, and shows a certificate that they do not.
        ("another certificate", other.line_with_ca("127.0.0.1", &ca), "refused"),
        ("another name", authority.line("10.9.9.9"), "has another name"),
    ];
    let nobody = free_port();
    for (what, theirs, reason) in cases {
        let (first, second) = (free_port(), free_port());
        let node = |listen, line: &str| {
            let sections = format!(
                "[cluster]\nlisten = \"{listen}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}\n\
                 token = \"{TOKEN}\"\n{line}\n"
            );
            Target::proxy(&Setup { sections, ..Setup::new() }, nobody)
        };
        let one = node(first, &ours);
        let two = node(second, &theirs);
        let failure = |target: &Target, name: &str| {
            let all = Client::connect(target.admin).get("/api/nodes");
            let all: Value = serde_json::from_slice(&all.body).unwrap();
            let nodes = all["nodes"].as_array().unwrap();
            nodes.iter().find(|node| node["name"] == name).unwrap()["failure"].clone()
        };
        eventually(
            || failure(&one, "b") == "it refuses this node" || failure(&two, "a") == "it refuses this node",
            || format!("{what}: {} {}", failure(&one, "b"), failure(&two, "a")),
        );
        let log = one.log() + &two.log();
        assert!(log.contains("no TLS with a node") && log.contains(reason), "{what}: {log}");
    }
}

#[test]
fn another_authority_takes_over_while_nodes_run() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let (line, setup) = (before.line("127.0.0.1"), Setup::new().server("watch = \"100ms\""));
    let mut world = World::foreign_with(&setup, &line);
    let (poller, peer) = world.poller();
    let mut socket = poller.upgraded();
    socket.send("4before");
    peer.assert_text("before");
    // Rubbish changes nothing.
    let key = fs::read(before.folder.join("node.key")).unwrap();
    fs::write(before.folder.join("node.key"), "rubbish").unwrap();
    let told = Client::connect(world.target.admin).post("/api/reload", "");
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["faults"][0]["key"], "cluster.tls", "{told}");
    fs::write(before.folder.join("node.key"), key).unwrap();

    after.line("127.0.0.1");
    let reloads = |world: &World| world.target.log().matches("the configuration was reloaded").count();
    let count = reloads(&world);
    for name in ["ca.pem", "node.pem", "node.key"] {
        fs::copy(after.folder.join(name), before.folder.join(name)).unwrap();
    }
    eventually(|| reloads(&world) > count, || world.log());
    // The nodes are still connected.
    socket.send("4after");
    peer.assert_text("after");
    // A node that knows nothing else asks the first, and is asked by it.
    drop(world.other.take());
    let [first, second] = world.peers[..] else { panic!("there are two nodes") };
    let sections = format!(
        "[cluster]\nlisten = \"{second}\"\npeers = {{ a = \"{first}\", b = \"{second}\" }}\n\
         token = \"{TOKEN}\"\n{line}\n"
    );
    let other = Target::proxy(&Setup { sections, ..Setup::new() }, world.backend().addr);
    for (owner, asked) in [(&world.target, &other), (&other, &world.target)] {
        let mut poller = Poller::handshake(owner.public);
        let peer = world.accept();
        let both = || asked.log() + &owner.log();
        poller.ask_at(asked.public);
        eventually(|| poller.post("4by the other").status == 200, both);
        peer.assert_text("by the other");
    }
}
