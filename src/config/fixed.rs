//! What only a restart changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::Config;
use super::fault::{Problem, Sink};
use super::sockets::{Socket, conflicts};
use super::tree::Node;
use crate::fingerprint::Fingerprint;
use crate::sid::Tag;
use crate::{cluster, directory, succession};

/// The keys that only a restart changes, each with its value. Some values are secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Fixed(BTreeMap<&'static str, String>);

/// What a process that runs says of a configuration that could follow its own.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Differing {
    /// The keys that differ.
    keys: Vec<String>,
    /// The sockets that it has for clients, which stay as they are.
    bound: Vec<Socket>,
}

impl Fixed {
    /// Returns those of a configuration.
    pub fn of(config: &Config) -> Self {
        let Config { admin, log, cluster, succession, directory, .. } = config;
        let mut fixed = BTreeMap::from([
            ("admin.listen", admin.listen.to_string()),
            ("admin.socket_mode", admin.socket_mode.to_string()),
            ("log.format", log.json.to_string()),
            (CLUSTER, cluster.is_some().to_string()),
        ]);
        if let Some(settings) = cluster {
            // Every one of them: a new field must be decided about here.
            let cluster::Settings { listen, advertise, node, peers, tls, token, .. } = settings;
            let cluster::Settings { connect_timeout, silence_timeout, .. } = settings;
            let listen = listen.to_string();
            // What follows from another key is that key's difference.
            let own_address = Some(advertise).filter(|advertise| **advertise != listen);
            let own_name = Some(node).filter(|node| **node != Tag::of_address(advertise));
            fixed.insert("cluster.listen", listen.clone());
            fixed.insert("cluster.advertise", own_address.cloned().unwrap_or_default());
            fixed.insert("cluster.node", own_name.map(ToString::to_string).unwrap_or_default());
            fixed.insert("cluster.peers", format!("{peers:?}"));
            fixed.insert("cluster.tls", format!("{tls:?}"));
            fixed.insert("cluster.token", String::from_utf8_lossy(token.as_bytes()).into_owned());
            fixed.insert("cluster.connect_timeout", format!("{connect_timeout:?}"));
            fixed.insert("cluster.silence_timeout", format!("{silence_timeout:?}"));
        }
        // The URL names the kind.
        if let Some(directory::Settings { kind: _, url, name, ttl, ca, identity }) = directory {
            fixed.insert(DIRECTORY, url.clone());
            fixed.insert("cluster.directory_name", name.clone());
            fixed.insert("cluster.directory_ttl", format!("{ttl:?}"));
            fixed.insert("cluster.directory_ca", format!("{ca:?}"));
            let identity = identity.as_ref();
            let (certificate, key) = (identity.map(|one| &one.certificate), identity.map(|one| &one.key));
            fixed.insert("cluster.directory_certificate", format!("{certificate:?}"));
            fixed.insert("cluster.directory_key", format!("{key:?}"));
        }
        // How long the old one lingers is its own decision, whenever that comes.
        if let Some(succession::Settings { directory, linger: _ }) = succession {
            fixed.insert("succession.directory", directory.display().to_string());
        }
        Self(fixed)
    }

    /// Returns the keys that differ.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        differing(&self.0, &other.0)
    }

    /// Returns the values as the query of a request: whether they are the same can be seen, but not what they are.
    pub fn to_query(&self, salt: &str) -> String {
        let pairs = self.0.iter().map(|(key, value)| format!("&{key}={}", hash(salt, key, value)));
        format!("salt={salt}{}", pairs.collect::<String>())
    }

    /// Returns the keys of such a query that differ from these.
    pub fn differing_from_query(&self, query: &str) -> Vec<String> {
        let pairs: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let salt = pairs.get("salt").copied().unwrap_or_default();
        let mine: BTreeMap<_, _> = self.0.iter().map(|(key, value)| (*key, hash(salt, key, value))).collect();
        let theirs = pairs.iter().filter(|(key, _)| **key != "salt");
        let theirs = theirs.map(|(key, hash)| (*key, (*hash).to_owned())).collect();
        differing(&mine, &theirs).into_iter().map(str::to_owned).collect()
    }
}

impl Differing {
    /// Returns what a process with this configuration says of one whose keys are in the query.
    pub fn of(config: &Config, query: &str) -> Self {
        let keys = Fixed::of(config).differing_from_query(query);
        Self { keys, bound: Socket::all(&config.server) }
    }

    /// Returns it as another process reads it.
    pub fn to_json(&self) -> Value {
        let bound: Vec<_> = self.bound.iter().map(Socket::to_json).collect();
        json!({ "differing": self.keys, "bound": bound })
    }

    /// Reads it; `None` if it is something else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let keys = value["differing"].as_array()?.iter().filter_map(|key| key.as_str().map(str::to_owned));
        // Earlier versions say nothing of their sockets.
        let bound = value["bound"].as_array().into_iter().flatten().filter_map(Socket::from_json);
        Some(Self { keys: keys.collect(), bound: bound.collect() })
    }

    /// Returns what only a restart changes, without its places.
    pub fn names(&self, config: &Config) -> Vec<String> {
        let conflicts = conflicts(&self.bound, &config.server);
        self.keys.iter().cloned().chain(conflicts.iter().map(ToString::to_string)).collect()
    }

    /// Reports what only a restart changes.
    pub(super) fn report(&self, config: &Config, tree: &Node, sink: &Sink) {
        report(self.keys.iter().map(String::as_str), tree, sink);
        for one in conflicts(&self.bound, &config.server) {
            one.report(tree, sink);
        }
    }
}

fn differing<'k>(one: &BTreeMap<&'k str, String>, other: &BTreeMap<&'k str, String>) -> Vec<&'k str> {
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).copied().collect();
    let mut differing: Vec<_> = keys.into_iter().filter(|key| one.get(key) != other.get(key)).collect();
    // A table that is there or not is one difference, and so is a directory: what else is known of it, nobody may have written.
    if differing.contains(&CLUSTER) {
        differing.retain(|key| !key.starts_with("cluster."));
    } else if one.contains_key(DIRECTORY) != other.contains_key(DIRECTORY) {
        differing.retain(|key| *key == DIRECTORY || !key.starts_with(DIRECTORY));
    }
    differing
}

fn hash(salt: &str, key: &str, value: &str) -> String {
    Fingerprint::of(format!("{salt} {key} {value}").as_bytes()).to_string()
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reports what would have to change in a process that runs, and cannot.
pub(super) fn check(running: &Config, config: &Config, tree: &Node, sink: &Sink) {
    report(Fixed::of(running).differing(&Fixed::of(config)).into_iter(), tree, sink);
    for one in conflicts(&Socket::all(&running.server), &config.server) {
        one.report(tree, sink);
    }
}

/// Reports these keys, each where it was written, or its table.
fn report<'k>(keys: impl Iterator<Item = &'k str>, tree: &Node, sink: &Sink) {
    for key in keys {
        let mut place = &tree.place;
        let mut node = tree;
        for level in key.split('.') {
            let Some(inner) = node.get(level) else { break };
            (node, place) = (inner, &inner.place);
        }
        sink.push(place, key, Problem::Fixed);
    }
}

const CLUSTER: &str = "cluster";
const DIRECTORY: &str = "cluster.directory";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{KEYS, Section};

    fn config(text: &str) -> Config {
        let routes = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'a'\n\
                      [upstreams.a]\nkind = 'http'\nurl = 'http://127.0.0.1:3000'\n";
        Config::parse(&format!("{text}{routes}"), "this test", std::iter::empty()).unwrap()
    }

    const CLUSTERED: &str = "[cluster]\nlisten = '127.0.0.1:7400'\nnode = 'a'\ntoken = 'a-secret-of-all-nodes'\n\
                             peers = { a = '127.0.0.1:7400' }\n";

    #[test]
    fn a_query_shows_what_differs_and_no_value() {
        let (one, other) =
            (Fixed::of(&config(CLUSTERED)), Fixed::of(&config(&CLUSTERED.replace("secret", "word"))));
        let query = one.to_query("12");
        assert!(!query.contains("secret"), "{query}");
        assert!(one.differing_from_query(&query).is_empty());
        assert_eq!(other.differing_from_query(&query), ["cluster.token"]);
        assert_eq!(one.differing(&other), ["cluster.token"]);
        // Another version knows another key.
        assert_eq!(one.differing_from_query(&(query + "&admin.token=1")), ["admin.token"]);
        assert_eq!(format!("{one:?}").matches("secret").count(), 0);
    }

    #[test]
    fn a_table_that_comes_or_goes_is_one_difference() {
        let (one, other) = (Fixed::of(&config("")), Fixed::of(&config(CLUSTERED)));
        assert_eq!(one.differing(&other), ["cluster"]);
        assert_eq!(other.differing(&one), ["cluster"]);
    }

    #[test]
    fn a_directory_that_comes_or_goes_is_one_difference() {
        let with = |lines: &str| Fixed::of(&config(&format!("{CLUSTERED}{lines}")));
        let (one, other) = (with(""), with("directory = 'redis://127.0.0.1'\n"));
        assert_eq!((one.differing(&other), other.differing(&one)), (vec![DIRECTORY], vec![DIRECTORY]));
        assert_eq!(other.differing_from_query(&one.to_query("1")), [DIRECTORY]);
        let more = with("directory = 'redis://127.0.0.1'\ndirectory_ttl = '1m'\n");
        assert_eq!(other.differing(&more), ["cluster.directory_ttl"]);
    }

    #[test]
    fn an_address_that_others_follow_is_one_difference() {
        let of = |listen: &str| {
            let peers = "peers = 'directory'\ndirectory = 'redis://127.0.0.1'\n";
            let text = format!("[cluster]\nlisten = '{listen}'\ntoken = 'a-secret-of-all-nodes'\n{peers}");
            Fixed::of(&config(&text))
        };
        assert_eq!(of("127.0.0.1:7400").differing(&of("127.0.0.1:7401")), ["cluster.listen"]);
    }

    #[test]
    fn every_key_of_the_cluster_needs_a_restart() {
        let directory = "peers = 'directory'\ndirectory = 'redis://127.0.0.1'\n";
        let whole = CLUSTERED.replace("peers = { a = '127.0.0.1:7400' }\n", directory);
        let fixed = Fixed::of(&config(&whole));
        for key in KEYS.iter().filter(|key| key.section == Section::Cluster) {
            assert!(fixed.0.contains_key(&*format!("cluster.{}", key.name)), "{}", key.name);
        }
    }
}
