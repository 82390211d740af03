//! Two nodes with one name, as names that are made of addresses may be by chance: each other node finds the sessions of both.

use super::backend::Backend;
use super::net::Net;
use super::pair::{node, roster, settle, target};
use super::site::{Common, Site};
use crate::session;

#[tokio::test(start_paused = true)]
async fn the_sessions_of_two_nodes_with_one_name_are_found_at_the_right_one() {
    for is_met in [false, true] {
        let net = Net::default();
        let common = Common::of("engine.io", "/engine.io/", session::Settings::default());
        let all = roster(&[("b", "b:1"), ("c", "c:1"), ("c", "c:2"), ("c", "c:3")]);
        let start =
            |name, number, address| Site::start(&net, &common, node(name, number), address, |_| all.clone());
        let twins = [start("c", 1, "c:1"), start("c", 2, "c:2")];
        let sessions = twins.each_ref().map(|twin| {
            let backend = Backend::default();
            (twin.begin(&backend), backend)
        });
        let b = start("b", 0, "b:1");
        if is_met {
            settle().await;
        }
        for (sid, backend) in sessions {
            backend.say("hi");
            assert_eq!(b.get(&target(&sid)).await, (200, "4hi".to_owned()), "met before: {is_met}");
        }
        let unknown = b.get(&target("2c---DDAAAAAAAAAAAAAAAAAAAA")).await;
        assert_eq!(unknown.0, 400, "a start of that name which neither is");
        // One of them restarts, and the other one goes on.
        let [gone, _] = &twins;
        net.leave("c:1");
        gone.kill();
        settle().await;
        let newer = start("c", 4, "c:1");
        for twin in [&newer, &twins[1]] {
            let backend = Backend::default();
            let sid = twin.begin(&backend);
            backend.say("again");
            assert_eq!(b.get(&target(&sid)).await, (200, "4again".to_owned()));
        }
        for site in [&newer, &twins[1], &b] {
            site.kill();
        }
    }
}
