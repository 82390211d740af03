//! Upstreams with several addresses, or with none that can be reached: what becomes of a handshake.

use tokio::time::{Instant, sleep};

use super::*;
use crate::upstream::{Balance, Limits};

/// Takes a handshake and hangs up.
async fn hang_up(listener: &TcpListener) {
    drop(answer(listener, b"").await);
}

#[tokio::test]
async fn an_address_that_hangs_up_without_an_answer_costs_no_client_its_session() {
    let (bad, good, settings) = two(Kind::EngineIo).await;
    let front = Front::new(&settings);
    front.open_with(async { tokio::join!(hang_up(&bad), accept_engine(&good)).1 }).await;
    // A backend that said something has the last word.
    let front = Front::new(&settings);
    let (error, _) =
        front.fail_with(answer(&bad, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
    let front = Front::new(&Settings { retry: false, ..settings });
    let (error, ()) = front.fail_with(hang_up(&bad)).await;
    assert!(matches!(error, OpenError::Down(_)), "{error}");
}

#[tokio::test]
async fn an_address_that_fails_three_handshakes_in_a_row_gets_no_more() {
    let (bad, good, settings) = two(Kind::WebSocket).await;
    let front = Front::new(&settings);
    for _ in 0..3 {
        front.fail_with(answer(&bad, b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")).await;
        front.open_with(accept(&good)).await;
    }
    for _ in 0..2 {
        front.open_with(accept(&good)).await;
    }
    // The only address is never left out.
    let front = Front::new(&Settings { urls: vec![url(&bad)], ..settings });
    for _ in 0..5 {
        front.fail_with(answer(&bad, b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")).await;
    }
    assert!(!front.upstream.is_down());
}

#[tokio::test]
async fn a_handshake_waits_for_a_backend_that_restarts() {
    for kind in [Kind::WebSocket, Kind::EngineIo] {
        let (listener, settings) = listen(kind).await;
        let address = listener.local_addr().unwrap();
        drop(listener);
        // Less time than the wait takes: that begins again after it.
        let handshake_timeout = Duration::from_secs(5);
        let front = Front::new(&Settings { hold: Duration::from_mins(1), handshake_timeout, ..settings });
        let back = async {
            // The time without a backend.
            sleep(Duration::from_millis(400)).await;
            let listener = TcpListener::bind(address).await.unwrap();
            // The first connection is the prober's, which closes it.
            loop {
                let stream = listener.accept().await.unwrap().0;
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
                if kind == Kind::EngineIo {
                    send_frame(&mut socket, OPEN).await;
                }
                return (listener, socket);
            }
        };
        front.open_with(back).await;
        assert!(!front.upstream.is_down());
    }
}

#[tokio::test]
async fn a_handshake_waits_no_longer_than_the_hold_and_a_health_check_not_at_all() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    drop(listener);
    let hold = Duration::from_millis(300);
    let front = Front::new(&Settings { hold, ..settings });
    let start = Instant::now();
    within(front.upstream.check_health()).await;
    assert!(front.upstream.is_down() && start.elapsed() < hold);
    let start = Instant::now();
    let error = front.open(request()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Down(_)) && start.elapsed() >= hold, "{error}");
}

#[tokio::test]
async fn a_handshake_that_is_tried_again_waits_for_a_place_as_others_do() {
    let (bad, good, settings) = two(Kind::WebSocket).await;
    let limits = Limits { max_sessions: Some(1), ..Limits::default() };
    let limits = Limits { queue_timeout: Duration::from_secs(20), ..limits };
    let front = Front::new(&Settings { limits, ..settings });
    let (_, link, _) = front.open_with(async { tokio::join!(hang_up(&bad), accept(&good)).1 }).await;
    let next = async {
        hang_up(&bad).await;
        while front.upstream.sight().waiting == 0 {
            tokio::task::yield_now().await;
        }
        drop(link);
        accept(&good).await
    };
    let (opened, _socket) = tokio::join!(front.open(request()), within(next));
    drop(opened.unwrap());
    let sessions = front.upstream.sight().addresses.iter().map(|address| address.sessions).sum::<usize>();
    assert_eq!(sessions, 0, "each place was given back once");
}

#[tokio::test]
async fn an_address_that_is_back_gets_few_clients_at_first() {
    let (good, gone, settings) = two(Kind::WebSocket).await;
    let address = gone.local_addr().unwrap();
    drop(gone);
    let slow_start = Duration::from_mins(20);
    let front = Front::new(&Settings { balance: Balance::RoundRobin, slow_start, ..settings });
    let mut links = Vec::new();
    for _ in 0..2 {
        links.push(front.open_with(accept(&good)).await);
    }
    let addresses = front.upstream.sight().addresses;
    let out: Vec<_> = addresses.iter().filter(|one| one.reason.is_some()).collect();
    assert!(matches!(out[..], [one] if one.share <= 0.0), "{addresses:?}");
    let back = TcpListener::bind(address).await.unwrap();
    let is_back = |front: &Front| front.upstream.sight().addresses.iter().all(|one| one.reason.is_none());
    // The prober's connection.
    drop(within(back.accept()).await.unwrap());
    while !is_back(&front) {
        // The pace of the looks.
        sleep(Duration::from_millis(10)).await;
    }
    links.push(front.open_with(accept(&back)).await);
    for _ in 0..10 {
        links.push(front.open_with(accept(&good)).await);
    }
    assert!(front.upstream.sight().addresses.iter().any(|one| one.share < 0.5));
}
