//! The example of "Write a dialect" works: a session by newlines, from its first request to its last.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::dialect::lines;

/// Returns a gateway whose clients speak `lines`, in front of a backend that echoes every message.
async fn echo() -> Arc<Gateway> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = vec![format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap()];
    let backend = upstream::Settings { kind: Kind::WebSocket, urls, ..upstream::Settings::default() };
    TaskTracker::new().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    before(&backend, lines::KIND.build, &dialect::Settings::default(), "/x")
}

/// Returns the status and the body of the response to a request.
async fn ask(gateway: &Arc<Gateway>, request: &str, body: &str) -> (u16, String) {
    let head = format!("{request} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    let answer = exchange(gateway, &head, body).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn a_session_by_newlines_brings_every_line_there_and_back() {
    let gateway = echo().await;
    let (status, body) = ask(&gateway, "POST /x", "").await;
    let id = body.trim_end();
    assert_eq!((status, id.is_empty()), (201, false));
    let session = format!("/x/{id}");
    assert_eq!(ask(&gateway, &format!("POST {session}"), "one\ntwo\nthree").await, (200, String::new()));
    let mut came = String::new();
    while came.len() < "one\ntwo\nthree\n".len() {
        let (status, lines) = ask(&gateway, &format!("GET {session}"), "").await;
        assert_eq!(status, 200);
        came.push_str(&lines);
    }
    assert_eq!(came, "one\ntwo\nthree\n");
    assert_eq!(ask(&gateway, &format!("DELETE {session}"), "").await, (200, String::new()));
    assert_eq!(ask(&gateway, &format!("GET {session}"), "").await.0, 404);
}

#[tokio::test]
async fn what_is_no_line_harms_no_session() {
    let gateway = echo().await;
    let (_, body) = ask(&gateway, "POST /x", "").await;
    let session = format!("/x/{}", body.trim_end());
    assert_eq!(ask(&gateway, &format!("PUT {session}"), "").await.0, 405);
    assert_eq!(ask(&gateway, "GET /x/unknown", "").await, (404, "no such session\n".to_owned()));
    assert_eq!(ask(&gateway, &format!("POST {session}"), "still here\n").await.0, 200);
    assert_eq!(ask(&gateway, &format!("GET {session}"), "").await, (200, "still here\n".to_owned()));
}

#[test]
fn the_guide_quotes_the_example_to_the_letter() {
    let guide = include_str!("../../../../CONTRIBUTING.md");
    let example = include_str!("../../../dialect/lines.rs");
    let quotes: Vec<&str> =
        guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(quotes.len() >= 4, "the guide quotes {} pieces of the example", quotes.len());
    for quote in quotes {
        assert!(
            example.contains(quote),
            "CONTRIBUTING.md quotes what src/dialect/lines.rs does not say:\n{quote}"
        );
    }
}
