//! A client that reads a byte a second at another node costs both nodes a bounded amount, and delays nobody else.

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::backend::Backend;
use super::client::Browser;
use super::pair::{MS, Pair, settle, target, text};
use crate::peer::WINDOW;
use crate::session;

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_a_byte_a_second_costs_a_window_and_delays_nobody() {
    let pair = Pair::start(session::Settings { outbox_max: OUTBOX_MAX, ..Default::default() }).await;
    let backend = Backend::default();
    let sid = pair.owner.begin(&backend);
    for _ in 0..MESSAGES {
        backend.say(&text(1000));
    }
    settle().await;
    let others: Vec<_> = (0..20)
        .map(|_| {
            let backend = Backend::default();
            let sid = pair.owner.begin(&backend);
            (backend, target(&sid))
        })
        .collect();
    let before = pair.net.answered("b:1", "a:1");
    let mut slow = Browser::connect(&pair.asker, ROOM);
    slow.send(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target(&sid)).as_bytes()).await;
    settle().await;
    let window = usize::try_from(WINDOW).unwrap();
    let mut crossed = pair.net.answered("b:1", "a:1") - before;
    assert!(crossed > window, "the batch is larger than what one client may have on its way");
    // Less than `stall_timeout`, after which the session would end.
    for second in 0..40 {
        assert!(crossed <= window + second + ROOM + FRAMES, "{crossed} bytes for one client");
        // One batch is on its way, and the next one waits.
        assert!(backend.read() <= 2 * OUTBOX_MAX + 2000, "{} bytes were read", backend.read());
        let sent = pair.net.answered("b:1", "a:1");
        let round = others.iter().map(|(backend, target)| async {
            let since = Instant::now();
            backend.say("hi");
            assert_eq!(pair.asker.get(target).await, (200, "4hi".to_owned()));
            since.elapsed()
        });
        let slowest = join_all(round).await.into_iter().max().unwrap();
        assert!(slowest <= MS, "another client waited for {slowest:?}");
        let others_took = pair.net.answered("b:1", "a:1") - sent;
        assert!(others_took < 20 * 300, "the slow one has sent in between");
        let sent = pair.net.answered("b:1", "a:1");
        slow.read(1).await;
        sleep(Duration::from_secs(1)).await;
        crossed += pair.net.answered("b:1", "a:1") - sent;
    }
    // It has everything in the end, in the order in which it was sent.
    let answer = timeout(MS, slow.answer()).await.unwrap().unwrap();
    let mut count =
        answer.body.split('\u{1e}').filter(|packet| *packet == format!("4{}", text(1000))).count();
    while count < MESSAGES {
        let (status, body) = timeout(MS, pair.asker.get(&target(&sid))).await.unwrap();
        assert_eq!(status, 200);
        count += body.split('\u{1e}').count();
    }
    assert_eq!(count, MESSAGES);
    assert!(!backend.is_closed());
    pair.assert_nothing_left().await;
}

const MESSAGES: usize = 1000;
const OUTBOX_MAX: usize = 128 << 10;
/// What the kernel of the client's node takes.
const ROOM: usize = 1 << 10;
/// What frames have besides their bytes, and what else nodes say to each other in a minute.
const FRAMES: usize = 4 << 10;
