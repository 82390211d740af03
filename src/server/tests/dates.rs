//! `Date`, which follows the clock when it is set back: whichever way a response is written.

use super::http2::{connect, get, h2c};
use super::*;
use crate::date::set_clock;

/// Runs `ask` at each time, which sees the server's date.
async fn assert_dated<F: Future<Output = String>>(way: &str, ask: impl Fn() -> F) {
    for (seconds, expected) in
        [(2_000_000_000, "Wed, 18 May 2033 03:33:20 GMT"), (86_401, "Fri, 02 Jan 1970 00:00:01 GMT")]
    {
        set_clock(seconds);
        let answer = ask().await;
        let dates = answer.lines().filter_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("date")).map(|(_, date)| date)
        });
        assert_eq!(dates.collect::<Vec<_>>(), [expected], "{way}: {answer}");
    }
}

#[tokio::test]
async fn a_response_of_http1_has_the_date_of_the_clock() {
    let server = Running::start(settings(), hello);
    for (way, request) in [
        ("without hyper", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("by hyper", "GET / HTTP/1.0\r\nhost: x\r\n\r\n"),
        ("the last of its connection", "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        ("to a header that is malformed", "nonsense\r\n\r\n"),
    ] {
        assert_dated(way, || async { server.connect().await.ask(request).await }).await;
    }
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-y: z\r\n".repeat(500));
    assert_dated("to too many lines", || async { server.connect().await.ask(&many).await }).await;
}

#[tokio::test]
async fn an_upgrade_and_a_request_that_took_too_long_have_the_date_of_the_clock() {
    let server = Running::start(settings(), upgrade_to_echo);
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    assert_dated("an upgrade", || async { server.connect().await.ask(upgrade).await }).await;
    let mut slow = settings();
    slow.limits.header_timeout = Duration::from_millis(50);
    let server = Running::start(slow, hello);
    assert_dated("a slow header", || async { server.connect().await.ask("GET / HTTP/1.1\r\nho").await })
        .await;
}

#[tokio::test]
async fn the_date_of_a_backend_is_kept() {
    let service = |_: Request| async {
        Ok::<_, Infallible>(Response::builder().header("date", "its own").body(Full::from("hello")).unwrap())
    };
    let server = Running::start(h2c(), service);
    let answer = server.connect().await.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(answer.to_ascii_lowercase().matches("date: ").count(), 1, "{answer}");
    assert!(answer.contains("Date: its own\r\n"), "{answer}");
    let answer = connect(&server).await.send_request(get("/")).await.unwrap();
    assert_eq!(answer.headers().get_all("date").iter().collect::<Vec<_>>(), ["its own"]);
}

#[tokio::test]
async fn a_response_of_http2_has_the_date_of_the_clock() {
    let server = Running::start(h2c(), hello);
    let client = connect(&server).await;
    let ask = || async {
        let answer = client.clone().send_request(get("/")).await.unwrap();
        format!("date: {}", answer.headers()["date"].to_str().unwrap())
    };
    assert_dated("HTTP/2", ask).await;
}
