//! What a client sends makes no node dial more often than its pauses allow.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::http::{Client, head};
use crate::support::poller::POLLING;
use crate::support::{AT_ONCE, Nodes, Setup};

#[test]
fn forged_ids_make_no_node_dial_beyond_its_pauses() {
    let (broken, dials) = counting();
    let nodes = Nodes::start_by(3, &Setup::new(), |_, to, address| if to == 2 { broken } else { address });
    let since = Instant::now();
    let before = dials.load(Ordering::Relaxed);
    // Of this node, of one that lives, of one that breaks each connection, of none, and of other starts of all.
    let ids = (0..FORGED).map(|number| {
        let node = ["a---", "b---", "c---", "zz--"][number % 4];
        let start = if number % 8 < 4 { "AA" } else { "-_" };
        format!("2{node}{start}{number:A>20}")
    });
    let ids: Vec<String> = ids.collect();
    let threads: Vec<_> = ids
        .chunks(FORGED / 4)
        .map(|ids| (ids.to_vec(), nodes.nodes[0].public))
        .map(|(ids, addr)| thread::spawn(move || ask_all(addr, &ids)))
        .collect();
    let statuses: Vec<u16> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(statuses.len(), FORGED);
    assert!(statuses.iter().all(|status| [400, 502].contains(status)), "unknown, or not to be reached");
    // Each dial of a node that breaks its connections tries twice, and each node greets the others each few seconds.
    let seconds = usize::try_from(since.elapsed().as_secs()).unwrap();
    let dialled = dials.load(Ordering::Relaxed) - before;
    assert!(dialled <= 4 * (seconds + 2), "{dialled} dials in {seconds} s for {FORGED} ids");
    // Nobody is harmed.
    let since = Instant::now();
    let (mut poller, peer) = nodes.poller();
    peer.send("still here");
    assert_eq!(poller.poll(), "4still here");
    assert!(since.elapsed() < 10 * AT_ONCE, "{:?}", since.elapsed());
}

/// Asks for each id on one connection, without waiting in between, and returns the statuses.
fn ask_all(addr: SocketAddr, ids: &[String]) -> Vec<u16> {
    let mut client = Client::connect(addr);
    let mut writer = client.wire.writer();
    let targets: String =
        ids.iter().map(|id| head("GET", &format!("{POLLING}&sid={id}"), &[])).collect::<Vec<_>>().concat();
    let writing = thread::spawn(move || writer.write_all(targets.as_bytes()));
    let statuses = ids.iter().map(|_| client.answer().status).collect();
    writing.join().unwrap().unwrap();
    statuses
}

/// Returns an address that breaks each connection, and how many there were.
fn counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (addr, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for _broken in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (addr, count)
}

const FORGED: usize = 20_000;
