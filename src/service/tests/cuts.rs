//! A client hangs up at another node than its session's, or the connection between the nodes is cut, at any byte: the session's
//! verdict is that of a client of its own node, and nothing is said to have arrived that its client's connection did not take.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::client::{Answer, Browser};
use super::dice::Dice;
use super::net::Cut;
use super::pair::{MS, Pair, settle, target, text};
use super::site::Site;
use crate::cluster::FINISH_TIMEOUT;
use crate::session;

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    /// It polls, and a message of this length waits.
    Poll(usize),
    /// It polls, and the message comes later.
    Wait(usize),
    /// It sends a message of this length.
    Post(usize),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The client hangs up once it has sent so much of its request, and read so much of the response.
    HangUp(usize, usize),
    /// The connection between the nodes is cut.
    Cut(Cut),
}

/// One client and its session.
struct Scene {
    request: Request,
    fault: Fault,
    /// What the kernel of the client's node takes.
    room: usize,
}

/// What has become of it.
#[derive(PartialEq, Eq, Debug)]
struct Verdict {
    has_ended: bool,
    /// What the session's backend has received.
    heard: Vec<String>,
}

impl Pair {
    /// Plays a scene whose client is at this node, and returns what was sent by the client's backend, its verdict, and what
    /// its client has received.
    async fn play(&self, site: &Arc<Site>, scene: &Scene) -> (Backend, String, Verdict, Option<Answer>) {
        let backend = Backend::default();
        let sid = self.owner.begin(&backend);
        let target = target(&sid);
        let mut client = Browser::connect(site, scene.room);
        let request = match scene.request {
            Request::Poll(len) => {
                backend.say(&text(len));
                settle().await;
                format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
            }
            Request::Wait(_) => format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
            Request::Post(len) => format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n4{}",
                len + 1,
                text(len)
            ),
        };
        let answer = match scene.fault {
            Fault::HangUp(sent, read) => {
                let sent = &request.as_bytes()[..sent.min(request.len())];
                // A kernel may take no more: then that is all that was sent.
                let _in_time = timeout(MS, client.send(sent)).await;
                settle().await;
                if let Request::Wait(len) = scene.request
                    && read > 0
                {
                    backend.say(&text(len));
                }
                let _all = timeout(MS, client.read(read)).await;
                settle().await;
                client.hang_up();
                None
            }
            Fault::Cut(cut) => {
                let waits = matches!(scene.request, Request::Wait(_));
                if !waits {
                    self.net.cut("b:1", "a:1", cut);
                }
                let asked = async {
                    client.send(request.as_bytes()).await;
                    client.answer().await
                };
                let say = async {
                    settle().await;
                    if let Request::Wait(len) = scene.request {
                        self.net.cut("b:1", "a:1", cut);
                        settle().await;
                        backend.say(&text(len));
                    }
                };
                let (answer, ()) = tokio::join!(timeout(100 * MS, asked), say);
                answer.expect("each request ends")
            }
        };
        settle().await;
        let verdict = Verdict { has_ended: backend.is_closed(), heard: backend.heard() };
        (backend, sid, verdict, answer)
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_at_any_byte_means_the_same_at_each_node() {
    let pair = Pair::start(session::Settings::default()).await;
    let mut dice = Dice::new(17);
    let mut ended = [0, 0];
    for number in 0..2500 {
        let scene = hang_up(&mut dice);
        let (_, _, home, _) = pair.play(&pair.owner, &scene).await;
        let (_, _, foreign, _) = pair.play(&pair.asker, &scene).await;
        assert_eq!(foreign, home, "{number}: {:?} {:?} {}", scene.request, scene.fault, scene.room);
        ended[usize::from(home.has_ended)] += 1;
    }
    assert!(ended.iter().all(|&count| count > 300), "{ended:?}");
    pair.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_nodes_that_is_cut_at_any_byte_loses_no_response_in_silence() {
    cut_all(18, 3000, Request::Poll).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_nodes_that_is_cut_beside_a_parked_poll_loses_nothing_in_silence() {
    cut_all(19, 2000, Request::Wait).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_nodes_that_is_cut_at_any_byte_carries_a_post_out_once_or_not() {
    cut_all(20, 2500, Request::Post).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_taken_counts_though_its_node_ends_at_once() {
    let pair = Pair::start(session::Settings::default()).await;
    let backend = Backend::default();
    let sid = pair.owner.begin(&backend);
    backend.say("taken");
    assert_eq!(pair.asker.get(&target(&sid)).await, (200, "4taken".to_owned()));
    // Before the connection to the owner has had a turn.
    pair.net.leave("b:1");
    pair.asker.kill();
    settle().await;
    assert!(!backend.is_closed(), "a poll that is lost ends its session");
    backend.say("more");
    assert_eq!(pair.owner.get(&target(&sid)).await, (200, "4more".to_owned()));
    pair.owner.kill();
}

/// Cuts the connection while a client asks something.
async fn cut_all(seed: u64, count: usize, kind: fn(usize) -> Request) {
    let pair = Pair::start(session::Settings::default()).await;
    let mut dice = Dice::new(seed);
    pair.net.dials();
    let (mut ended, mut cuts) = ([0, 0], 0);
    for number in 0..count {
        let scene = cut(&mut dice, kind);
        let (backend, sid, verdict, answer) = pair.play(&pair.asker, &scene).await;
        // A connection that is cut is made again at once.
        let was_cut = !pair.net.dials().is_empty();
        pair.net.cut("b:1", "a:1", Cut::Questions(usize::MAX));
        pair.net.cut("b:1", "a:1", Cut::Answers(usize::MAX));
        let what = format!(
            "{number}: {:?} {:?} {}: ended {}",
            scene.request, scene.fault, scene.room, verdict.has_ended
        );
        cuts += usize::from(was_cut);
        assert!(was_cut || !verdict.has_ended && answer.is_some(), "without a cut, nothing ends: {what}");
        if let (Request::Wait(_), Fault::Cut(Cut::Now)) = (scene.request, scene.fault) {
            assert!(
                !verdict.has_ended && answer.is_some(),
                "its client was told nothing, and asks again: {what}"
            );
        }
        ended[usize::from(verdict.has_ended)] += 1;
        match scene.request {
            Request::Poll(len) | Request::Wait(len) => {
                let whole = format!("4{}", text(len));
                if let Some(answer) = &answer
                    && answer.status == 200
                {
                    assert!(answer.body == whole, "the client has another response: {what}");
                }
                if !verdict.has_ended {
                    // What its client does not have is still there, and nothing else.
                    let has = answer.is_some_and(|answer| answer.status == 200);
                    backend.say("end");
                    settle().await;
                    let rest =
                        timeout(MS, pair.owner.get(&target(&sid))).await.expect("it is answered at once");
                    let left = if has { "4end".to_owned() } else { format!("{whole}\u{1e}4end") };
                    assert!(rest == (200, left), "{what}");
                }
            }
            Request::Post(len) => {
                let whole = vec![text(len)];
                assert!(verdict.heard.is_empty() || verdict.heard == whole, "{what}");
                if answer.is_some_and(|answer| answer.status == 200) {
                    assert!(verdict.heard == whole, "it was told otherwise: {what}");
                }
            }
        }
    }
    assert!(cuts > count / 4 && ended.iter().all(|&ended| ended > 0), "{cuts} cuts, {ended:?}");
    pair.assert_nothing_left().await;
}

/// Returns the length of a message, and the room of its client's connection: messages are shorter and longer than what the nodes'
/// connection and the window take.
fn sizes(dice: &mut Dice) -> (usize, usize) {
    let (len, room) = *dice.of(&[(1, 100), (100, 100), (2000, 100), (20_000, 4 << 10), (150_000, 64 << 10)]);
    let len = 1 + dice.below(len);
    (len, room)
}

fn hang_up(dice: &mut Dice) -> Scene {
    let (len, room) = sizes(dice);
    let request = *dice.of(&[Request::Poll(len), Request::Poll(len), Request::Wait(len), Request::Post(len)]);
    let fault = match request {
        Request::Poll(len) => Fault::HangUp(usize::MAX, dice.below(len + 300)),
        Request::Wait(len) => {
            Fault::HangUp(usize::MAX, if dice.chance(50) { 0 } else { dice.below(len + 300) })
        }
        Request::Post(len) => {
            Fault::HangUp(dice.below(len + 200), if dice.chance(50) { 0 } else { dice.below(300) })
        }
    };
    Scene { request, fault, room }
}

fn cut(dice: &mut Dice, kind: fn(usize) -> Request) -> Scene {
    let (len, room) = sizes(dice);
    let request = kind(len);
    let fault = match request {
        Request::Poll(len) if dice.chance(70) => Cut::Answers(dice.below(len + 200)),
        Request::Poll(_) => Cut::Questions(dice.below(250)),
        Request::Wait(len) if dice.chance(50) => Cut::Answers(dice.below(len + 200)),
        Request::Wait(_) => Cut::Now,
        Request::Post(len) if dice.chance(70) => Cut::Questions(dice.below(len + 300)),
        Request::Post(_) => Cut::Answers(dice.below(200)),
    };
    Scene { request, fault: Fault::Cut(fault), room }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_takes_no_answer_back() {
    let pair = Pair::start(session::Settings::default()).await;
    let backend = Backend::default();
    let target = target(&pair.owner.begin(&backend));
    let mut client = Browser::connect(&pair.asker, 1 << 16);
    let post = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n4hi");
    let owner = Arc::clone(&pair.owner);
    TaskTracker::new().spawn(poll_fn(move |cx| {
        // The message was taken, and that is all: it stops before what it says of that is written.
        if !backend.heard().is_empty() && owner.asked.is_empty() {
            owner.stop();
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    client.send(post.as_bytes()).await;
    let answer = client.answer().await;
    assert_eq!(answer.map(|answer| (answer.status, answer.body)), Some((200, "ok".into())));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_stays_until_its_answers_are_taken() {
    let pair = Pair::start(session::Settings::default()).await;
    let backend = Backend::default();
    let target = target(&pair.owner.begin(&backend));
    let mut client = Browser::connect(&pair.asker, 1 << 16);
    backend.say("last");
    settle().await;
    let (owner, mut has_come) = (Arc::clone(&pair.owner), false);
    TaskTracker::new().spawn(poll_fn(move |cx| {
        has_come |= !owner.asked.is_empty();
        // Its answer is given, and that is all: nobody has taken it.
        if has_come && owner.asked.is_empty() {
            owner.stop();
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    let answer = client.answer().await;
    assert_eq!(answer.map(|answer| (answer.status, answer.body)), Some((200, "4last".into())));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_learns_in_time_what_nobody_takes() {
    let pair = Pair::start(session::Settings::default()).await;
    let backend = Backend::default();
    let target = target(&pair.owner.begin(&backend));
    // Its kernel takes a part of the answer, and it reads none.
    let mut client = Browser::connect(&pair.asker, 4 << 10);
    backend.say(&text(1 << 20));
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    settle().await;
    pair.net.leave("a:1");
    pair.owner.stop();
    sleep(FINISH_TIMEOUT).await;
    settle().await;
    assert!(backend.is_closed(), "an answer that was lost ends its session");
}
