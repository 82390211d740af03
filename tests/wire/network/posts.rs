//! What clients of SockJS and longpoll send over a network on which it trickles, and bodies that are too slow.

use std::thread;
use std::time::Instant;

use super::{Network, before_backend, from_the_first_byte};
use crate::abandoned::feed;
use crate::longpoll;
use crate::relay_with_faults::{Cut, Manner};
use crate::support::feed::Feed;
use crate::support::http::{Client, head};
use crate::support::sockjs::{self, target};
use crate::support::target::Target;
use crate::support::wire::Fill;
use crate::support::world::{Excluded, proxy_is_asked};
use crate::support::{Event, Peer, Poller, SOON, Setup, World, metrics, ms};

const TRICKLE: fn(u64) -> Option<Cut> = |_| Some(from_the_first_byte(Manner::Trickle));
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[test]
fn a_send_of_sockjs_that_trickles_on_either_side_arrives_once() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (world, _behind) = before_backend(&sockjs::setup(""), TRICKLE);
    let front = Network::to(world.target.public, TRICKLE);
    let peer = sockjs::begin(&world, "a");
    for turn in 0..20 {
        let text = format!("{turn}-{}", "x".repeat(200));
        let mut client = Client::connect(front.address);
        if turn % 2 == 0 {
            let body = format!("[\"{text}\",\"behind it\"]");
            client.request("POST", &target("a", "xhr_send"), &[], body.as_bytes()).assert(204, "");
        } else {
            let body = format!("d=%5B%22{text}%22%2C%22behind+it%22%5D");
            client.request("POST", &target("a", "jsonp_send"), &[FORM], body.as_bytes()).assert(200, "ok");
        }
        peer.assert_text(&text);
        peer.assert_text("behind it");
        peer.send(&text);
        sockjs::poll(&world, "a").assert(200, &format!("a[\"{text}\"]\n"));
    }
    peer.assert_quiet();
}

#[test]
fn a_post_of_longpoll_that_trickles_on_either_side_arrives_once_though_it_is_repeated() {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    let (world, _behind) = before_backend(&feed(), TRICKLE);
    let front = Network::to(world.target.public, TRICKLE);
    let mut client = Feed::begin(world.target.public);
    let peer = world.accept();
    for turn in 1..=20 {
        let text = format!("{turn}-{}", "x".repeat(200));
        let target = client.target(&format!("id={turn}"));
        // As a client does that has lost the response.
        for _ in 0..2 {
            let mut posts = Client::connect(front.address);
            posts.request("POST", &target, &[TEXT], text.as_bytes()).assert(204, "");
        }
        peer.assert_text(&text);
        peer.send(&text);
        let answer = format!(r#"{{"after":{turn},"messages":[{{"id":{turn},"text":"{text}"}}]}}"#);
        client.get(&format!("after={}", turn - 1)).assert(200, &answer);
    }
    peer.assert_quiet();
}

/// A session whose client sends by POST.
struct Sender {
    world: World,
    peer: Peer,
    /// The target of its POSTs, and the type of their bodies.
    target: String,
    content_type: (&'static str, &'static str),
    /// How a body begins that has a text in it, and how it ends.
    around: (&'static str, &'static str),
    /// The response to one that is accepted.
    accepted: (u16, &'static str),
    /// The response to one that is too slow.
    refused: &'static str,
}

const SENDERS: [fn(&str) -> Sender; 4] = [
    |route| {
        let world = World::start_with(&Setup::new().route(route), Target::proxy);
        let (target, peer) = (Poller::handshake(world.addr).target(), world.accept());
        Sender {
            world,
            peer,
            target,
            content_type: ("Content-Type", "text/plain;charset=UTF-8"),
            around: ("4", ""),
            accepted: (200, "ok"),
            refused: "",
        }
    },
    |route| sockjs_sender(route, "xhr_send", TEXT, ("[\"", "\"]"), (204, "")),
    |route| sockjs_sender(route, "jsonp_send", FORM, ("d=%5B%22", "%22%5D"), (200, "ok")),
    |route| {
        let world = World::start_with(&longpoll::setup().route(route), Target::proxy);
        let (target, peer) = (Feed::begin(world.addr).url, world.accept());
        Sender {
            world,
            peer,
            target,
            content_type: TEXT,
            around: ("", ""),
            accepted: (204, ""),
            refused: r#"{"error":"the body came too slowly"}"#,
        }
    },
];

fn sockjs_sender(
    route: &str,
    what: &str,
    content_type: (&'static str, &'static str),
    around: (&'static str, &'static str),
    accepted: (u16, &'static str),
) -> Sender {
    let setup = sockjs::setup(&format!("disconnect_delay = \"1m\"\n{route}"));
    let world = World::start_with(&setup, Target::proxy);
    let peer = sockjs::begin(&world, "a");
    let target = target("a", what);
    Sender { world, peer, target, content_type, around, accepted, refused: "Payload too slow." }
}

impl Sender {
    /// Begins a POST with a text of so many bytes.
    fn begin(&self, len: usize) -> Client {
        let whole = self.around.0.len() + len + self.around.1.len();
        let length = whole.to_string();
        let mut client = self.world.http();
        let head = head("POST", &self.target, &[self.content_type, ("Content-Length", &length)]);
        client.wire.send(head.as_bytes());
        client.wire.send(self.around.0.as_bytes());
        client
    }

    /// Fails unless a POST that was begun was refused as too slow, by this limit.
    #[track_caller]
    fn assert_too_slow(&self, mut client: Client, limit: &str) {
        client.answer().assert(408, self.refused);
        assert!(client.ends_within(SOON), "{}: the connection closes", self.target);
        let labels = [format!("limit=\"{limit}\"")];
        let labels = labels.each_ref().map(String::as_str);
        assert!(metrics::has_counted(self.world.target.admin, "polliwog_limited_total", &labels));
        let told = format!("a limit was reached limit=\"{limit}\"");
        assert_eq!(self.world.log().matches(&told).count(), 1, "{}", self.world.log());
    }

    /// Fails unless nothing has reached the backend, and the session lives.
    #[track_caller]
    fn assert_lives(&self) {
        self.peer.assert_quiet();
        let body = format!("{}it lives{}", self.around.0, self.around.1);
        let (status, text) = self.accepted;
        self.world
            .http()
            .request("POST", &self.target, &[self.content_type], body.as_bytes())
            .assert(status, text);
        self.peer.assert_text("it lives");
        self.peer.assert_quiet();
    }
}

/// Plays this for the senders of every dialect at once.
fn each(route: &str, senders: &[fn(&str) -> Sender], play: fn(&Sender)) {
    if !proxy_is_asked(Excluded::OnlyAProxyHasThis) {
        return;
    }
    thread::scope(|scope| {
        for sender in senders {
            scope.spawn(move || play(&sender(route)));
        }
    });
}

#[test]
fn a_post_that_takes_too_long_gets_a_408_and_nothing_of_it_arrives() {
    each("body_timeout = \"400ms\"", &SENDERS, |sender| {
        let (mut client, start) = (sender.begin(1000), Instant::now());
        while client.wire.fill(Instant::now() + ms(10)) == Fill::Quiet {
            client.wire.send(b"x");
        }
        let took = start.elapsed();
        assert!(took >= ms(390) && took < SOON, "{took:?}");
        sender.assert_too_slow(client, "body_timeout");
        sender.assert_lives();
    });
}

#[test]
fn posts_that_are_too_slow_hold_up_the_others_for_no_longer() {
    // As many as a session may have under way.
    each("body_timeout = \"400ms\"", &SENDERS[1..], |sender| {
        let slow: Vec<_> = (0..8).map(|_| sender.begin(1000)).collect();
        // Their beginnings arrive meanwhile; nothing shows when they have.
        thread::sleep(ms(100));
        sender.assert_lives();
        drop(slow);
    });
}

#[test]
fn a_post_below_the_rate_gets_a_408_after_ten_seconds_and_one_above_it_arrives() {
    // Engine.IO's clients have a heartbeat, which is stricter.
    each("min_body_rate = 1000", &SENDERS[1..], |sender| {
        // Ten times the rate, or as much of that as the machine allows, and a hundredth of it.
        let (mut slow, mut steady) = (sender.begin(100_000), sender.begin(40_000));
        let (start, mut sent) = (Instant::now(), 0);
        while slow.wire.fill(Instant::now() + ms(100)) == Fill::Quiet {
            slow.wire.send(b"x");
            // Its last byte comes once the other has been refused.
            let some = (40_000 - 1 - sent).min(1000);
            steady.wire.send(&vec![b'x'; some]);
            sent += some;
        }
        let took = start.elapsed();
        assert!(took >= ms(9_000) && took < ms(40_000), "{took:?}");
        sender.assert_too_slow(slow, "min_body_rate");
        steady.wire.send(&vec![b'x'; 40_000 - sent]);
        steady.wire.send(sender.around.1.as_bytes());
        let (status, text) = sender.accepted;
        steady.answer().assert(status, text);
        assert_eq!(sender.peer.event(), Event::Text("x".repeat(40_000)));
        sender.assert_lives();
    });
}
