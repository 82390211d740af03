//! A conversation under a clock that only these tests move.

use super::*;
use crate::load::pace::Bursts;
use crate::load::payloads::Language;
use crate::packet::Message;

struct Scene {
    conversation: Conversation,
    now: Instant,
}

impl Scene {
    fn new(rate: Option<f64>, burst: u32) -> Self {
        Self::speaking(Language::Echo, rate, burst)
    }

    fn speaking(language: Language, rate: Option<f64>, burst: u32) -> Self {
        let pace = Pace::new(rate, Bursts::new(&[burst]).unwrap());
        let terms = Terms { pace, payloads: Payloads::new(language, 0), patience: ms(2000) };
        Self { conversation: Conversation::new(&Arc::new(terms), 0.0), now: Instant::now() }
    }

    fn open(&mut self, beat: Beat) -> Received {
        let open = OpenPacket {
            sid: "s".into(),
            upgrades: false,
            ping_interval: ms(1000),
            ping_timeout: ms(500),
            max_payload: Some(200),
        };
        self.conversation.handle_open(Some((&open, beat)), self.now).unwrap()
    }

    fn after(&mut self, wait: u64) -> Result<(), Fault> {
        self.now += ms(wait);
        self.conversation.handle_timeout(self.now)
    }

    fn written(&mut self) -> Vec<String> {
        let mut packets = Vec::new();
        self.conversation.write(&mut packets, usize::MAX);
        packets.iter().map(name).collect()
    }

    fn hear(&mut self, text: &str) -> Received {
        self.conversation.handle_packet(Packet::Message(Message::text(text)), self.now).unwrap()
    }
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn name(packet: &Packet) -> String {
    match packet {
        Packet::Message(Message::Text(text)) => text.as_str().to_owned(),
        Packet::Ping(_) => "ping".to_owned(),
        Packet::Pong(_) => "pong".to_owned(),
        Packet::Open(_) | Packet::Close(_) | Packet::Message(_) | Packet::Upgrade | Packet::Noop => {
            format!("{packet:?}")
        }
    }
}

#[test]
fn at_a_rate_messages_go_when_they_are_due_answered_or_not() {
    let mut scene = Scene::new(Some(10.0), 1);
    assert_eq!(scene.open(Beat::Server), Received::Greeting);
    assert_eq!(scene.written(), ["0:"]);
    assert_eq!(scene.conversation.poll_timeout(), Some(scene.now + ms(100)));
    scene.after(99).unwrap();
    assert!(!scene.conversation.wants_to_write());
    scene.after(201).unwrap();
    assert_eq!(scene.written(), ["1:", "2:", "3:"]);
}

#[test]
fn at_a_rate_latency_counts_from_when_a_message_was_meant_to_go() {
    let mut scene = Scene::new(Some(10.0), 1);
    scene.open(Beat::Server);
    scene.after(450).unwrap();
    scene.written();
    assert_eq!(scene.hear("1:"), Received::Answer(ms(350), Arrival::InOrder(1)));
    assert_eq!(scene.hear("0:"), Received::Answer(ms(450), Arrival::Reordered));
    assert_eq!(scene.hear("1:"), Received::Answer(ms(350), Arrival::Duplicated));
    scene.conversation.handle_accepted();
    assert_eq!(scene.conversation.unanswered(), 3);
}

#[test]
fn without_a_rate_the_next_burst_waits_for_every_answer() {
    let mut scene = Scene::new(None, 2);
    scene.open(Beat::Server);
    assert_eq!(scene.written(), ["0:", "1:"]);
    scene.after(30).unwrap();
    assert_eq!(scene.hear("0:"), Received::Answer(ms(30), Arrival::InOrder(0)));
    assert!(!scene.conversation.wants_to_write());
    scene.hear("1:");
    assert_eq!(scene.written(), ["2:", "3:"]);
    assert_eq!(scene.hear("2:"), Received::Answer(Duration::ZERO, Arrival::InOrder(0)));
}

#[test]
fn without_a_rate_a_lost_message_does_not_end_the_loop() {
    let mut scene = Scene::new(None, 1);
    scene.conversation.handle_open(None, scene.now).unwrap();
    scene.written();
    assert_eq!(scene.conversation.poll_timeout(), Some(scene.now + ms(2000)));
    scene.after(2000).unwrap();
    assert_eq!(scene.written(), ["1:"]);
    scene.hear("1:");
    assert_eq!(scene.written(), ["2:"], "the lost one is not waited for again");
    scene.conversation.handle_accepted();
    assert_eq!(scene.conversation.unanswered(), 1);
    assert_eq!(
        scene.hear("0:"),
        Received::Answer(ms(2000), Arrival::Reordered),
        "late, and counted from its own time"
    );
}

#[test]
fn a_message_that_the_server_has_not_accepted_is_not_lost() {
    let mut scene = Scene::new(Some(10.0), 1);
    scene.open(Beat::Server);
    scene.written();
    assert_eq!(scene.conversation.unanswered(), 0, "its POST was never answered, or refused");
    scene.conversation.handle_accepted();
    assert_eq!(scene.conversation.unanswered(), 1);
    scene.hear("0:");
    assert_eq!(scene.conversation.unanswered(), 0);
}

#[test]
fn one_request_holds_no_more_than_the_server_takes() {
    let mut scene = Scene::new(Some(1.0), 20);
    scene.open(Beat::Server);
    let (first, second) = (scene.written().len(), scene.written().len());
    assert!(first > 1 && first == second, "{first} and {second} of 200 bytes");
    while scene.conversation.wants_to_write() {
        scene.written();
    }
    assert_eq!(scene.conversation.written(), 20);
}

#[test]
fn messages_that_no_request_can_hold_are_refused() {
    let mut scene = Scene::new(Some(1.0), 1);
    scene.conversation.payloads = Payloads::new(Language::Echo, 1_000_000);
    let opened = scene.conversation.handle_open(None, scene.now);
    assert!(matches!(opened, Err(Fault::TooLarge { payload_max: 1_000_000 })), "{opened:?}");
}

#[test]
fn a_ping_is_answered_and_its_absence_is_death() {
    let mut scene = Scene::new(Some(0.0), 1);
    scene.open(Beat::Server);
    scene.after(1400).unwrap();
    scene.conversation.handle_packet(Packet::Ping(Text::default()), scene.now).unwrap();
    assert_eq!(scene.written(), ["pong"]);
    scene.after(1499).unwrap();
    assert!(matches!(scene.after(1), Err(Fault::Silent(_))));
}

#[test]
fn in_protocol_3_the_client_pings_and_wants_an_answer() {
    let mut scene = Scene::new(Some(0.0), 1);
    scene.open(Beat::Client);
    assert_eq!(scene.conversation.poll_timeout(), Some(scene.now + ms(1000)));
    scene.after(1000).unwrap();
    assert_eq!(scene.written(), ["ping"]);
    scene.after(400).unwrap();
    scene.conversation.handle_packet(Packet::Pong(Text::default()), scene.now).unwrap();
    scene.after(600).unwrap();
    assert_eq!(scene.written(), ["ping"]);
    assert!(matches!(scene.after(500), Err(Fault::Silent(_))));
}

#[test]
fn socket_io_is_greeted_before_anything_is_said() {
    let mut scene = Scene::speaking(Language::SocketIo { asks: true }, None, 1);
    assert_eq!(scene.open(Beat::Server), Received::Nothing);
    assert_eq!(scene.written(), ["0"]);
    scene.after(100).unwrap();
    assert!(!scene.conversation.wants_to_write());
    assert_eq!(scene.hear("0{\"sid\":\"x\"}"), Received::Greeting);
    assert_eq!(scene.written(), ["20[\"echo\",\"\"]"]);
    assert_eq!(scene.hear("30[\"\"]"), Received::Answer(Duration::ZERO, Arrival::InOrder(0)));
    let refused = scene.conversation.handle_packet(Packet::Message(Message::text("1")), scene.now);
    assert!(matches!(refused, Err(Fault::Refused)));
}

#[test]
fn a_stop_waits_for_what_is_outstanding() {
    let mut scene = Scene::new(Some(10.0), 1);
    scene.open(Beat::Server);
    scene.written();
    scene.conversation.handle_stop(scene.now);
    scene.after(1000).unwrap();
    assert!(!scene.conversation.wants_to_write() && !scene.conversation.is_over(scene.now));
    scene.hear("0:");
    assert!(scene.conversation.is_over(scene.now));
}

#[test]
fn a_stop_has_its_patience() {
    let mut scene = Scene::new(Some(10.0), 1);
    scene.open(Beat::Server);
    scene.written();
    scene.conversation.handle_stop(scene.now);
    assert!(!scene.conversation.is_over(scene.now) && scene.conversation.is_over(scene.now + ms(2000)));
    assert_eq!(scene.hear("7:"), Received::Unexpected, "nobody has asked that");
}

#[test]
fn a_session_that_never_opened_has_nothing_to_wait_for() {
    let mut scene = Scene::new(None, 1);
    scene.conversation.handle_stop(scene.now);
    assert!(scene.conversation.is_over(scene.now));
}
