//! Nodes whose addresses are those of one host name, such as that of a headless service in Kubernetes.
//!
//! A node's name in session ids is made of its address ([`Tag::of_address`]), so nobody is asked who is who.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::net::lookup_host;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::roster::{Keeper, Nodes, Roster};
use crate::background::Background;
use crate::sid::Tag;
use crate::throttle::Outage;

/// Returns the nodes at the addresses of `host`, which is resolved again and again.
pub fn resolved(host: &str, port: u16, background: &Background) -> Roster {
    let name = host.to_owned();
    let resolve = move || {
        let name = name.clone();
        async move { Ok(lookup_host((name, port)).await?.collect()) }.boxed()
    };
    resolved_by(resolve, host, background)
}

/// Returns the nodes at the addresses that `resolve` finds for `host`, again and again.
pub fn resolved_by(
    resolve: impl Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    host: &str,
    background: &Background,
) -> Roster {
    let (keeper, roster) = Roster::kept();
    let (host, stop) = (host.to_owned(), background.stop.clone());
    background.spawn_vital("the name of the nodes", async move {
        let _stopped = stop.run_until_cancelled(keep(resolve, &host, &keeper)).await;
    });
    roster
}

/// Publishes what is resolved. A name that cannot be resolved changes nothing.
async fn keep<R>(resolve: impl Fn() -> R, host: &str, keeper: &Keeper)
where
    R: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let outage = Outage::default();
    loop {
        let begun = Instant::now();
        match resolve().await {
            Ok(addresses) if !addresses.is_empty() => {
                if outage.end() {
                    tracing::info!(host, "the nodes' name can be resolved again");
                }
                keeper.publish(nodes_at(addresses), begun);
            }
            failed => {
                let error = failed.map_or_else(|error| error.to_string(), |_| "it has no address".to_owned());
                if let Some(count) = outage.begin() {
                    tracing::warn!(
                        host,
                        error,
                        count,
                        "the nodes' name cannot be resolved; the known nodes stay"
                    );
                }
            }
        }
        sleep(PACE).await;
        let _due = timeout(INTERVAL, keeper.wanted()).await;
    }
}

/// Returns the nodes at these addresses. Two nodes with the same name are left together: they learn of each other.
pub(super) fn nodes_at(addresses: Vec<SocketAddr>) -> Nodes {
    let mut nodes = Nodes::new();
    for address in addresses {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port()).to_string();
        let same = nodes.entry(Tag::of_address(&address)).or_default();
        if !same.contains(&address) {
            same.push(address);
        }
    }
    for addresses in nodes.values_mut() {
        addresses.sort();
    }
    nodes
}

/// How soon after a look the next may be.
const PACE: Duration = Duration::from_millis(250);
/// How long the last look is good enough if nobody asks for a fresh one.
const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_name_is_resolved_again_and_a_failure_changes_nothing() {
        let (keeper, mut roster) = Roster::kept();
        let answers = Mutex::new(vec![&["10.0.0.1", "10.0.0.2"][..], &[], &["10.0.0.1", "10.0.0.3"]]);
        let looks = Mutex::new(Vec::new());
        let since = Instant::now();
        let resolve = || async {
            looks.lock().unwrap().push(since.elapsed());
            let answer = answers.lock().unwrap().pop().ok_or(io::ErrorKind::TimedOut)?;
            Ok(answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 7400)).collect())
        };
        answers.lock().unwrap().reverse();
        let follow = async {
            let mut seen = Vec::new();
            for _ in 0..2 {
                assert!(roster.looked().await);
                seen.push(roster.look().unwrap().nodes);
            }
            seen
        };
        let seen = tokio::select! {
            seen = follow => seen,
            () = keep(resolve, "peers", &keeper) => unreachable!(),
        };
        let listed = |addresses: &[&str]| -> Nodes {
            addresses.iter().map(|address| (Tag::of_address(address), vec![(*address).to_owned()])).collect()
        };
        assert_eq!(seen[0], listed(&["10.0.0.1:7400", "10.0.0.2:7400"]));
        // The empty answer between the two was not published.
        assert_eq!(seen[1], listed(&["10.0.0.1:7400", "10.0.0.3:7400"]));
        let each = PACE + INTERVAL;
        assert_eq!(*looks.lock().unwrap(), [Duration::ZERO, each, 2 * each]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_for_unknown_nodes_do_not_resolve_it_more_often_than_the_pace() {
        let (keeper, roster) = Roster::kept();
        let looks = Mutex::new(0);
        let resolve = || async {
            *looks.lock().unwrap() += 1;
            Ok(vec![SocketAddr::from(([10, 0, 0, 1], 1))])
        };
        let flood = async {
            for _ in 0..1000 {
                roster.look_again();
                // The time between two requests.
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = flood => {}
            () = keep(resolve, "peers", &keeper) => unreachable!(),
        }
        assert!((3..=5).contains(&*looks.lock().unwrap()), "{looks:?}");
    }

    #[test]
    fn one_node_has_one_address_however_it_is_written() {
        let nodes = nodes_at(vec![
            "[::ffff:10.0.0.1]:7400".parse().unwrap(),
            "10.0.0.1:7400".parse().unwrap(),
            "[fd00::1]:7400".parse().unwrap(),
        ]);
        assert_eq!(nodes[&Tag::of_address("10.0.0.1:7400")], ["10.0.0.1:7400"]);
        assert_eq!(nodes[&Tag::of_address("[fd00::1]:7400")], ["[fd00::1]:7400"]);
    }
}
