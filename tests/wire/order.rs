//! Promise 1: no silent loss, no duplicate, no reordering; and the linger, by which one poll returns all echoes.

use std::thread;
use std::time::Instant;

use crate::support::frames::{Op, Socket};
use crate::support::wire::Wire;
use crate::support::world::{Excluded, WEBSOCKET};
use crate::support::{Poller, SOON, Setup, World, ms, patiently};

/// Polls until `count` messages have arrived, and fails unless they are numbered from `from` on.
#[track_caller]
fn assert_numbered(poller: &mut Poller, from: usize, count: usize) {
    let mut next = from;
    while next < from + count {
        for packet in poller.poll().split('\u{1e}') {
            assert_eq!(number(packet), next, "messages were lost, duplicated or reordered");
            next += 1;
        }
    }
    assert_eq!(next, from + count);
}

fn number(packet: &str) -> usize {
    let text = packet.strip_prefix('4').unwrap_or_else(|| panic!("no message: {packet}"));
    text.trim_end_matches('.').parse().unwrap()
}

/// Returns a number, padded with dots.
fn numbered(number: usize, length: usize) -> String {
    format!("{number:.<length$}")
}

#[test]
fn one_poll_after_a_post_brings_back_all_its_echoes() {
    patiently(|| {
        let world = World::new(Setup::new().route("linger = \"60ms\""));
        let (mut poller, peer) = world.poller();
        peer.echo();
        for _ in 0..5 {
            poller.post_ok("4one\u{1e}4two\u{1e}bAAEC");
            assert_eq!(poller.poll(), "4one\u{1e}4two\u{1e}bAAEC");
        }
    });
}

#[test]
fn a_poll_that_parked_before_the_post_is_answered_at_once() {
    patiently(|| {
        let world = World::new(Setup::new().route("linger = \"1s\""));
        let (mut poller, peer) = world.poller();
        peer.echo();
        poller.park();
        poller.post_ok("4x");
        let start = Instant::now();
        poller.assert_parked_gets("4x");
        assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
    });
}

#[test]
fn a_poll_without_a_recent_post_is_answered_at_once() {
    patiently(|| {
        let world = World::new(Setup::new().route("linger = \"200ms\""));
        let (mut poller, peer) = world.poller();
        poller.post_ok("4x");
        peer.assert_text("x");
        // The linger, which began with the POST, is over.
        thread::sleep(ms(300));
        for _ in 0..10 {
            peer.send("y");
            let start = Instant::now();
            assert_eq!(poller.poll(), "4y");
            assert!(start.elapsed() < ms(150), "{:?}", start.elapsed());
        }
    });
}

#[test]
fn no_linger_still_loses_nothing() {
    let world = World::new(Setup::new().route("linger = \"0ms\""));
    let (mut poller, peer) = world.poller();
    peer.echo();
    for turn in 0..20 {
        poller.post_ok(format!("4{}\u{1e}4{}", turn * 2, turn * 2 + 1));
        assert_numbered(&mut poller, turn * 2, 2);
    }
}

#[test]
fn many_messages_come_down_in_order() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    for count in 0..500 {
        peer.send(&numbered(count, 20));
    }
    assert_numbered(&mut poller, 0, 500);
}

#[test]
fn many_messages_go_up_in_order() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let mut next = 0;
    for size in (1..40).chain([200]) {
        let packets: Vec<_> = (next..next + size).map(|number| format!("4{number}")).collect();
        poller.post_ok(packets.join("\u{1e}"));
        next += size;
    }
    for number in 0..next {
        peer.assert_text(&number.to_string());
    }
}

#[test]
fn both_directions_at_once_lose_nothing() {
    let world = World::new(Setup::new());
    let (mut socket, peer) = world.websocket();
    peer.echo();
    let mut writer = socket.wire.writer();
    let sender = thread::spawn(move || {
        for count in 0..2000 {
            let frame = crate::support::Frame::new(Op::TEXT, format!("4{}", numbered(count, count % 700)));
            std::io::Write::write_all(&mut writer, &frame.encode(crate::support::frames::Masked::Yes))
                .unwrap();
        }
    });
    for count in 0..2000 {
        assert_eq!(number(&socket.text()), count);
    }
    sender.join().unwrap();
}

#[test]
fn messages_that_flow_during_an_upgrade_stay_in_order() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let sender = thread::spawn(move || {
        for count in 0..300 {
            peer.send(&numbered(count, 10));
            // The pace of the messages: some come in each state of the upgrade.
            thread::sleep(ms(2));
        }
        peer
    });
    let mut next = 0;
    let mut take = |body: &str| {
        for packet in body.split('\u{1e}').filter(|packet| *packet != "6") {
            assert_eq!(number(packet), next, "messages were lost, duplicated or reordered");
            next += 1;
        }
        next
    };
    take(&poller.poll());
    let mut socket = poller.probe();
    for _ in 0..20 {
        take(&poller.poll());
    }
    // Some messages come between the last poll and the upgrade.
    thread::sleep(ms(20));
    socket.send("5");
    while take(&socket.text()) < 300 {}
    let peer = sender.join().unwrap();
    socket.send("4done");
    peer.assert_text("done");
}

#[test]
fn posts_before_and_frames_after_an_upgrade_stay_in_order() {
    let world = World::new(Setup::new());
    for _ in 0..5 {
        let (mut poller, peer) = world.poller();
        let mut socket = poller.probe();
        for count in 0..10 {
            poller.post_ok(format!("4{count}"));
        }
        socket.send("5");
        for count in 10..20 {
            socket.send(&format!("4{count}"));
        }
        for count in 0..20 {
            peer.assert_text(&count.to_string());
        }
    }
}

#[test]
fn a_batch_is_cut_at_its_limit_and_the_rest_follows() {
    let setup = Setup::new().route("batch_max = 1000");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    for count in 0..20 {
        peer.send(&numbered(count, 299));
    }
    peer.settle();
    let mut next = 0;
    while next < 20 {
        let body = poller.poll();
        assert!(body.len() <= 1000, "{} bytes", body.len());
        let packets: Vec<_> = body.split('\u{1e}').collect();
        assert_eq!(packets.len(), if next < 18 { 3 } else { 2 });
        for packet in packets {
            assert_eq!(number(packet), next);
            next += 1;
        }
    }
}

#[test]
fn a_batch_counts_encoded_bytes() {
    let setup = Setup::new().route("batch_max = 1000");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    for _ in 0..6 {
        peer.send_binary(&[0; 300]);
    }
    peer.settle();
    let mut count = 0;
    while count < 6 {
        let body = poller.poll();
        assert!(body.len() <= 1000, "{} bytes", body.len());
        count += body.split('\u{1e}').count();
    }
}

#[test]
fn a_message_larger_than_a_batch_goes_alone_and_is_never_refused() {
    let setup = Setup::new().route("batch_max = 1000\noutbox_max = 1000");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    let large = "L".repeat(3_000_000);
    peer.send("before");
    peer.send(&large);
    peer.send("after");
    // The proxy stops reading at the large message, so that nothing shows when it has read it.
    thread::sleep(crate::support::QUIET);
    assert_eq!(poller.poll(), "4before");
    assert!(poller.poll() == format!("4{large}"), "the large message comes alone");
    assert_eq!(poller.poll(), "4after");
}

#[test]
fn a_post_of_exactly_the_limit_crosses() {
    let world = World::new(Setup::new());
    let (mut poller, peer) = world.poller();
    let large = "x".repeat(999_999);
    poller.post_ok(format!("4{large}"));
    assert!(peer.event() == crate::support::Event::Text(large));
}

#[test]
fn a_flood_through_a_slow_poller_loses_and_duplicates_nothing() {
    let setup = Setup::new().route("outbox_max = 65536\nbatch_max = 16384");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let (mut poller, peer) = world.poller();
    let line = peer.line().clone();
    let sender = thread::spawn(move || line.flood(0, |count| numbered(count, 200), 8_000_000, SOON));
    let mut next = 0;
    for turn in 0.. {
        for packet in poller.poll().split('\u{1e}') {
            assert_eq!(number(packet), next, "messages were lost, duplicated or reordered");
            next += 1;
        }
        if turn % 50 == 0 {
            // It polls late now and then, so that messages pile up.
            thread::sleep(ms(10));
        }
        if sender.is_finished() {
            break;
        }
    }
    let flood = sender.join().unwrap();
    assert!(!flood.stalled, "the flood was written completely, without a stall");
    assert_numbered(&mut poller, next, flood.next - next);
}

#[test]
fn a_flood_through_a_slow_websocket_loses_and_duplicates_nothing() {
    let setup = Setup::new().route("outbox_max = 65536");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let mut socket = Socket::over(Wire::connect_narrow(world.addr), WEBSOCKET, &[]).unwrap();
    assert!(socket.text().starts_with("0{"));
    let peer = world.accept();
    let line = peer.line().clone();
    let sender = thread::spawn(move || line.flood(0, |count| numbered(count, 200), 20_000_000, ms(300)));
    let flood = sender.join().unwrap();
    assert!(flood.stalled, "a client that reads nothing stops its backend");
    for count in 0..flood.next - 1 {
        assert_eq!(number(&socket.text()), count, "messages were lost, duplicated or reordered");
    }
    peer.send("999999999");
    assert_eq!(number(&socket.text()), flood.next - 1);
    socket.assert_text("4999999999");
}

#[test]
fn messages_that_leave_with_the_open_packet_arrive() {
    let setup = Setup::new().script(|script| script.first = vec!["0".into(), "1".into(), "2".into()]);
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    let mut client = world.http();
    let body = client.get(crate::support::world::POLLING).text().to_owned();
    let sid = crate::support::poller::open_packet(&body)["sid"].as_str().unwrap().to_owned();
    let mut packets: Vec<String> = body.split('\u{1e}').skip(1).map(str::to_owned).collect();
    while packets.len() < 3 {
        let answer = client.get(&format!("{}&sid={sid}", crate::support::world::POLLING));
        packets.extend(answer.text().split('\u{1e}').map(str::to_owned));
    }
    assert_eq!(packets, ["40", "41", "42"]);
    let (mut socket, _peer) = world.websocket();
    for text in ["40", "41", "42"] {
        socket.assert_text(text);
    }
}
