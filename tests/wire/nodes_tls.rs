//! TLS between nodes: both sides show a certificate of the nodes' authority.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;

use super::support::http::Client;
use super::support::target::{Target, free_port};
use super::support::world::TOKEN;
use super::support::{SOON, Setup, World, eventually};

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
