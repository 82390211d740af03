//! Asks all nodes what they are, for `check --cluster`: whether they are there, and agree.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use futures_util::future::join_all;
use http::StatusCode;
use http::header::DATE;
use http::response::Parts;
use tokio::net::lookup_host;
use tokio::time::{Duration, timeout};

use super::dial::inquire;
use super::dns::nodes_at;
use super::greeting::{Greeting, LEAVING};
use super::roster::Nodes;
use super::secured::Secured;
use super::settings::{Peers, Settings};
use crate::chain::Chain;
use crate::sid::Tag;

/// What a node was found to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// One line.
    pub text: String,
    /// Whether the cluster cannot work like that.
    pub is_fault: bool,
}

/// Asks all nodes. `routes` is the hash of the routes of this configuration, `met` are nodes that the directory has.
///
/// # Errors
/// The nodes are not known.
pub async fn survey(settings: &Settings, routes: &str, met: Nodes) -> io::Result<Vec<Finding>> {
    let nodes = match &settings.peers {
        Peers::Named(peers) => peers.iter().map(|(tag, address)| (*tag, vec![address.clone()])).collect(),
        Peers::Dns { host, port } => nodes_at(lookup_host((host.as_str(), *port)).await?.collect()),
        Peers::Directory => {
            let mut nodes = met;
            let own = nodes.entry(settings.node).or_default();
            if !own.contains(&settings.advertise) {
                own.push(settings.advertise.clone());
            }
            nodes
        }
    };
    let secured = Secured::new(settings.tls.as_ref()).map_err(io::Error::other)?;
    Ok(survey_all(&nodes, settings, &secured, routes).await)
}

async fn survey_all(nodes: &Nodes, settings: &Settings, secured: &Secured, routes: &str) -> Vec<Finding> {
    let each = nodes.iter().flat_map(|(tag, addresses)| addresses.iter().map(|address| (*tag, address)));
    let asked = each.map(|(tag, address)| async move {
        let wait = settings.connect_timeout;
        let answer = timeout(wait, inquire(address, tag, &settings.token, secured)).await;
        let (said, is_fault) = match answer {
            Err(_) => (format!("no response within {} ms", wait.as_millis()), true),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ("nobody listens there".to_owned(), true)
            }
            Ok(Err(error)) => (format!("no response: {}", Chain(&error)), true),
            Ok(Ok(head)) => judge(tag, &head, routes, SystemTime::now()),
        };
        Finding { text: format!("node {tag} at {address}: {said}"), is_fault }
    });
    join_all(asked).await
}

/// Returns what a response says, and whether the cluster cannot work like that.
fn judge(tag: Tag, head: &Parts, routes: &str, now: SystemTime) -> (String, bool) {
    let greeting = match (head.status, Greeting::read(&head.headers)) {
        (StatusCode::UNAUTHORIZED, _) => return ("it has another token".to_owned(), true),
        (_, Some(greeting)) if greeting.node.tag != tag => {
            return (format!("it is node {}", greeting.node.tag), true);
        }
        (StatusCode::OK, Some(greeting)) => greeting,
        (status, _) => return (format!("no node of a cluster listens there, it responded {status}"), true),
    };
    let mut said = format!("ok, version {}, started {} s ago", greeting.version, greeting.age.as_secs());
    if head.headers.contains_key(LEAVING) {
        said.push_str("; it drains");
    }
    let version = env!("CARGO_PKG_VERSION");
    if greeting.version != version {
        let _written = write!(said, "; this is version {version}");
    }
    let date = head.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let apart = date.map(|date| now.duration_since(date).unwrap_or_else(|error| error.duration()));
    if let Some(apart) = apart.filter(|apart| *apart > APART_MAX) {
        let _written = write!(said, "; its clock and this one are {} s apart", apart.as_secs());
    }
    let differs = greeting.routes != routes;
    if differs {
        said.push_str("; its routes with sessions differ from those of this configuration");
    }
    (said, differs)
}

/// Dates have no fractions of a second, and a response takes a while.
const APART_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::cluster::Me;
    use crate::sid::Node;

    #[test]
    fn each_thing_on_which_nodes_must_agree_is_judged() {
        let tag = Tag::of_name("a").unwrap();
        let now = httpdate::parse_http_date("Fri, 27 Nov 2026 09:00:05 GMT").unwrap();
        let said = |status: u16, change: &dyn Fn(&mut HeaderMap)| {
            let (mut head, ()) = http::Response::new(()).into_parts();
            head.status = StatusCode::from_u16(status).unwrap();
            Me::starting(Node::from_random(tag, [0; 2]), "f00d").write(&mut head.headers);
            head.headers.insert(DATE, HeaderValue::from_static("Fri, 27 Nov 2026 09:00:04 GMT"));
            change(&mut head.headers);
            judge(tag, &head, "f00d", now)
        };
        let version = env!("CARGO_PKG_VERSION");
        let fine = format!("ok, version {version}, started 0 s ago");
        let set = |name: &'static str, value: &'static str| {
            move |headers: &mut HeaderMap| {
                headers.insert(name, HeaderValue::from_static(value));
            }
        };
        assert_eq!(said(200, &|_| {}), (fine.clone(), false));
        assert_eq!(said(401, &|_| {}), ("it has another token".to_owned(), true));
        assert_eq!(said(421, &set("polliwog-node", "b---AA")), ("it is node b".to_owned(), true));
        assert_eq!(
            said(200, &HeaderMap::clear),
            ("no node of a cluster listens there, it responded 200 OK".to_owned(), true)
        );
        let (text, is_fault) = said(200, &set("polliwog-version", "0.0.1"));
        assert_eq!(
            (text, is_fault),
            (format!("ok, version 0.0.1, started 0 s ago; this is version {version}"), false)
        );
        let (text, is_fault) = said(200, &set("date", "Fri, 27 Nov 2026 09:01:05 GMT"));
        assert_eq!((text, is_fault), (format!("{fine}; its clock and this one are 60 s apart"), false));
        assert_eq!(said(200, &set("polliwog-leaving", "1")), (format!("{fine}; it drains"), false));
        let (text, is_fault) = said(200, &set("polliwog-routes", "beef"));
        assert!(is_fault && text.contains("routes with sessions differ"), "{text}");
    }
}
