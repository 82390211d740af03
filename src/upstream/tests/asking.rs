//! One short plain HTTP request.

use http::header::{HOST, ORIGIN};
use http::{HeaderValue, Method, StatusCode};

use super::*;
use crate::reply::Reply;
use crate::upstream::Host;

/// Returns the result, and the request that the backend got, if it answers with these bytes and hangs up.
async fn ask(
    settings: &Settings,
    listener: &TcpListener,
    bytes: &[u8],
) -> (Result<Reply, OpenError>, String) {
    let front = Front::new(settings);
    let mut request = request();
    request.headers.insert(ORIGIN, HeaderValue::from_static("https://a.example"));
    request.headers.insert(HOST, HeaderValue::from_static("chat.example.org"));
    let asking = front.upstream.ask(request, Method::OPTIONS).unwrap();
    let backend = async { answer(listener, bytes).await.0 };
    tokio::join!(within(asking), within(backend))
}

#[tokio::test]
async fn a_question_is_put_as_a_polling_client_would() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (answer, head) = ask(&settings, &listener, b"HTTP/1.1 204 No Content\r\nX-Tea: 1\r\n\r\n").await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(answer.headers["x-tea"], "1");
    assert!(head.starts_with("OPTIONS /socket.io/?room=7&EIO=4&transport=polling HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nOrigin: https://a.example\r\n"), "{head}");
    assert!(head.contains("\r\nHost: chat.example.org\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n") && !head.contains("Upgrade"), "{head}");
}

#[tokio::test]
async fn a_question_names_the_urls_host_where_the_settings_say_so() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let settings = Settings { host: Host::Upstream, ..settings };
    let (_, head) = ask(&settings, &listener, b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(head.contains(&format!("\r\nHost: {}\r\n", listener.local_addr().unwrap())), "{head}");
}

#[tokio::test]
async fn an_answers_body_is_cut_at_64_kib() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let endless = [b"HTTP/1.1 404 x\r\n\r\n".as_slice(), &vec![b'x'; 70_000]].concat();
    let (answer, _) = ask(&settings, &listener, &endless).await;
    assert_eq!(answer.unwrap().body.len(), 64 << 10);
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let (down, _) = ask(&settings, &listener, b"").await;
    assert!(matches!(down, Err(OpenError::Down(_))), "{down:?}");
    for bytes in [&b"tea\r\n\r\n"[..], b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: tea\r\n\r\n"] {
        let (nonsense, _) = ask(&settings, &listener, bytes).await;
        assert!(matches!(nonsense, Err(OpenError::Protocol(_))), "{nonsense:?}");
    }
    let span = Duration::from_millis(50);
    let front = Front::new(&Settings { handshake_timeout: span, ..settings });
    let slow = within(front.upstream.ask(request(), Method::OPTIONS).unwrap()).await;
    assert!(matches!(slow, Err(OpenError::Slow(slow)) if slow == span), "{slow:?}");
}

#[tokio::test]
async fn a_plain_websocket_server_is_not_asked() {
    let (_listener, settings) = listen(Kind::WebSocket).await;
    assert!(Front::new(&settings).upstream.ask(request(), Method::OPTIONS).is_none());
}
