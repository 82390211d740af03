//! A vanished client is noticed even if unread bytes follow its request.

use socket2::SockRef;

use super::*;

/// Inside hyper and outside, with a body and without.
const REQUESTS: [&str; 4] = [
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\nTE: trailers\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody",
];

/// Returns what comes behind a request: in one piece with it, and later.
fn behind() -> [(String, String); 7] {
    let next = "GET /2 HTTP/1.1\r\nhost: x\r\n\r\n";
    [
        ("", ""),
        ("G", ""),
        ("", "G"),
        ("G", "E"),
        (next, next),
        (&"x".repeat(20_000), ""),
        ("", &"x".repeat(40_000)),
    ]
    .map(|(one, other)| (one.to_owned(), other.to_owned()))
}

async fn asked(server: &Running, parked: &Parked, request: &str, at_once: &str, later: &str) -> TcpStream {
    let mut client = server.connect().await;
    client.write(&format!("{request}{at_once}")).await;
    parked.entered().await;
    if !later.is_empty() {
        // What follows comes while the request waits, and not with it.
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.write(later).await;
    }
    client.0
}

/// Dropped, it is reset.
fn resetting(client: TcpStream) -> TcpStream {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    client
}

#[tokio::test]
async fn an_end_is_noticed_whatever_lies_unread() {
    let (server, parked) = Running::park(settings());
    for request in REQUESTS {
        for (at_once, later) in behind() {
            let mut client = asked(&server, &parked, request, &at_once, &later).await;
            client.shutdown().await.unwrap();
            parked.left().await;
        }
    }
}

#[tokio::test]
async fn a_reset_is_noticed_whatever_lies_unread_and_however_long_a_half_closed_client_is_answered() {
    for half_close_timeout in [Duration::ZERO, Duration::from_hours(1)] {
        let (server, parked) = Running::park(Settings { half_close_timeout, ..settings() });
        for request in REQUESTS {
            for (at_once, later) in behind() {
                drop(resetting(asked(&server, &parked, request, &at_once, &later).await));
                parked.left().await;
            }
            let mut client = asked(&server, &parked, request, "", "").await;
            client.shutdown().await.unwrap();
            // The end of its side is seen meanwhile; nothing shows it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(resetting(client));
            parked.left().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_only_ended_its_side_is_answered_in_order() {
    let (server, parked) = Running::park(Settings { half_close_timeout: PATIENCE * 2, ..settings() });
    for request in REQUESTS {
        for behind in ["", REQUESTS[0]] {
            let (mut client, mut count) = (asked(&server, &parked, request, behind, "").await, 0);
            client.shutdown().await.unwrap();
            // The end of its side is seen meanwhile; nothing shows it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            parked.release.notify_waiters();
            parked.left().await;
            // Nothing is read after a request of HTTP/1.0, which closes.
            if !behind.is_empty() && !request.contains("1.0") {
                parked.entered().await;
                parked.release.notify_waiters();
                parked.left().await;
                count += 1;
            }
            assert_eq!(
                Client(client).rest().await.matches("\r\n\r\nparked").count(),
                1 + count,
                "{request:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_only_ended_its_side_is_waited_for_no_longer_than_that() {
    let half_close_timeout = Duration::from_millis(200);
    let (server, parked) = Running::park(Settings { half_close_timeout, ..settings() });
    for request in REQUESTS {
        for (at_once, later) in behind() {
            let mut client = asked(&server, &parked, request, &at_once, &later).await;
            client.shutdown().await.unwrap();
            parked.left().await;
        }
    }
}

#[tokio::test]
async fn an_end_behind_tls_is_noticed_whatever_lies_unread() {
    let (settings, _files, certificate) = tls::settings();
    let (server, parked) = Running::park(Settings { half_close_timeout: Duration::ZERO, ..settings });
    for request in REQUESTS {
        for (at_once, later) in behind() {
            let mut client = tls::connect(&server, &certificate).await;
            client.write(&format!("{request}{at_once}")).await;
            parked.entered().await;
            client.write(&later).await;
            if request.len() % 2 == 0 {
                client.0.shutdown().await.unwrap();
            } else {
                client.0.flush().await.unwrap();
                // Without a goodbye.
                client.0.get_mut().0.shutdown().await.unwrap();
            }
            parked.left().await;
        }
    }
}
