//! Certificates across a succession: the storage is that of both processes, and so is the address that the ACME server meets.

use std::fs;

use super::pebble::{PATIENCE, Pebble, is_missing};
use super::{LONG, Storage, issued, serial, setup};
use crate::support::is_so_within;
use crate::support::processes::Processes;
use crate::support::target::free_port;

/// What a process says when it begins to order.
const ORDERED: &str = "a certificate is ordered";

#[test]
fn a_successor_shows_what_the_process_before_was_issued_and_alone_renews_it() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("succeeded"));
    // It is due after twenty seconds or less: the succession comes before.
    let pebble = Pebble::start(secure.port(), 30);
    let processes =
        Processes::start_with(&setup(secure, &pebble.acme(&["a.test"], &storage.0)), "1m", |_| {});
    let root = pebble.root();
    let before = issued(&processes.world, secure, "a.test", &root, None);
    // The first process stays for it.
    let (mut poller, peer) = processes.world.poller();
    processes.succeed();
    assert_eq!(serial(secure, "a.test", &root), Some(before.clone()), "{}", processes.world.log());
    assert_eq!(processes.count(ORDERED), 1, "{}", processes.world.log());
    issued(&processes.world, secure, "a.test", &root, Some(&before));
    // The session of before has noticed nothing, and its process has ordered nothing.
    (poller.gets, poller.posts) = (processes.world.http(), processes.world.http());
    poller.post_ok("4up");
    peer.assert_text("up");
    assert_eq!(processes.count(ORDERED), 2, "{}", processes.world.log());
    assert_eq!(processes.count("no certificate was issued"), 0, "{}", processes.world.log());
}

#[test]
fn a_succession_in_the_middle_of_an_order_costs_no_certificate() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("midway"));
    let pebble = Pebble::start(secure.port(), LONG);
    // So many that some order is under way at each succession.
    let names = ["a.test", "b.test", "c.test", "d.test"];
    let processes = Processes::start_with(&setup(secure, &pebble.acme(&names, &storage.0)), "1m", |_| {});
    let _session = processes.world.poller();
    let root = pebble.root();
    let mut successions = 0;
    while successions < 3 {
        let done = processes.count("a certificate was issued");
        let begun = || processes.count(ORDERED) > done;
        // All may be there before as many successions.
        if done == names.len() || !is_so_within(PATIENCE, begun) {
            break;
        }
        processes.succeed();
        successions += 1;
    }
    assert!(successions > 0, "{}", processes.world.log());
    for name in names {
        issued(&processes.world, secure, name, &root, None);
    }
    assert_eq!(processes.count("no certificate was issued"), 0, "{}", processes.world.log());
    let left: Vec<_> = fs::read_dir(pebble.folder(&storage.0))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("challenge") || name.contains("failed"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
