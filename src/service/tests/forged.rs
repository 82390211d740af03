//! Ids that somebody made up, in the query and in the path: they are answered as unknown, and cost neither dials nor memory.

use std::collections::HashMap;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::backend::Backend;
use super::net::Net;
use super::pair::{node, roster, settle, target};
use super::site::{Common, Site};
use crate::session;

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_forged_ids_cost_neither_dials_nor_memory() {
    let net = Net::default();
    let all = roster(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1"), ("d", "d:1")]);
    let dialects =
        [("engine.io", "/engine.io/", 400), ("longpoll", "/poll/", 404), ("sockjs", "/sockjs/", 404)];
    for (dialect, path, unknown) in dialects {
        let common = Common::of(dialect, path, session::Settings::default());
        let start = |name, address| Site::start(&net, &common, node(name, 0), address, |_| all.clone());
        let (a, b, d) = (start("a", "a:1"), start("b", "b:1"), start("d", "d:1"));
        net.silence("d:1", true);
        settle().await;
        net.dials();
        let (since, count) = (Instant::now(), if dialect == "engine.io" { 80_000 } else { 10_000 });
        for chunk in 0..count / CHUNK {
            let asked =
                (chunk * CHUNK..(chunk + 1) * CHUNK).map(|number| {
                    let target = target_of(dialect, &forged(number));
                    let b = &b;
                    async move {
                        if dialect == "sockjs" { b.post(&target).await.0 } else { b.get(&target).await.0 }
                    }
                });
            for (number, status) in join_all(asked).await.into_iter().enumerate() {
                // A node that does not answer may have the session.
                let may_be = status == 502 && number % NAMES.len() == 8;
                assert!(
                    status == unknown || may_be,
                    "{status} for {} of {dialect}",
                    NAMES[number % NAMES.len()]
                );
            }
        }
        let seconds = usize::try_from(since.elapsed().as_secs()).unwrap() + 1;
        let mut dials = HashMap::<String, usize>::new();
        for (_, from, to) in net.dials() {
            if from == "b:1" {
                *dials.entry(to).or_default() += 1;
            }
        }
        // Nobody has heard of those starts of c, so each may just have begun; but it is asked at a pace.
        assert!(dials.get("c:1").is_none_or(|count| *count <= 10 * seconds), "{dials:?} in {seconds} s");
        assert!(dials.get("d:1").is_none_or(|count| *count <= 2 * seconds), "{dials:?} in {seconds} s");
        assert!(dials.get("a:1").is_none_or(|count| *count <= 1), "{dials:?} in {seconds} s");
        assert!(dials.keys().all(|to| ["a:1", "c:1", "d:1"].contains(&&**to)), "{dials:?}");
        assert_eq!((b.cluster.sights(0).len(), b.cluster.tables().0, b.registry.taken()), (4, 0, 0));
        // Nobody is harmed.
        if dialect == "engine.io" {
            let backend = Backend::default();
            let sid = a.begin(&backend);
            backend.say("still here");
            assert_eq!(b.get(&target(&sid)).await, (200, "4still here".to_owned()));
        }
        for site in [&a, &b, &d] {
            site.kill();
        }
        settle().await;
    }
}

/// Which start of which node a forged id names: one that lives, another start of it, this node, another start of this node, none,
/// one that is gone, one that says nothing.
const NAMES: [&str; 10] =
    ["a---AA", "a---BB", "b---AA", "b---BB", "b---CC", "zz--AA", "zz--BB", "c---AA", "d---AA", "----AA"];

fn forged(number: usize) -> String {
    format!("2{}{number:A>20}", NAMES[number % NAMES.len()])
}

fn target_of(dialect: &str, sid: &str) -> String {
    match dialect {
        "engine.io" => target(sid),
        "longpoll" => format!("/poll/{sid}"),
        _ => format!("/sockjs/000/{sid}/xhr_send"),
    }
}

const CHUNK: usize = 1000;
