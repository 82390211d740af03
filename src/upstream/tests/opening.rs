//! How a link is opened, and every way in which that fails.

use std::io;

use bytes::Bytes;
use http::header::{COOKIE, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::*;
use crate::upstream::Host;

/// Accepts every handshake, with these header lines added.
async fn accept_raw(listener: &TcpListener, lines: &str) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await;
    let accept = derive_accept_key(header(&head, "sec-websocket-key").unwrap().as_bytes());
    let head_back = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    );
    stream.write_all(head_back.as_bytes()).await.unwrap();
    (head, stream)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names = headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_backend_sees_a_plain_handshake() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (front, mut request) = (Front::new(&settings), request());
    request.path = "x/y".to_owned();
    request.headers.insert(HOST, HeaderValue::from_static("chat.example.org"));
    request.headers.insert(COOKIE, HeaderValue::from_static("a=1"));
    request.headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
    let (link, (head, _stream)) = tokio::join!(front.open(request), accept_raw(&listener, ""));
    link.unwrap();
    assert!(head.starts_with("GET /socket.io/x/y?room=7 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some("chat.example.org"));
    assert_eq!(header(&head, "cookie"), Some("a=1"));
    assert_eq!(header(&head, "connection"), Some("Upgrade"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&head, "sec-websocket-key").unwrap().len(), 24);
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
}

#[tokio::test]
async fn the_host_is_the_urls_where_the_settings_say_so_or_the_client_named_none() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let authority = listener.local_addr().unwrap().to_string();
    for (host, named) in [(Host::Upstream, Some("chat.example.org")), (Host::Client, None)] {
        let front = Front::new(&Settings { host, ..settings.clone() });
        let mut request = request();
        if let Some(named) = named {
            request.headers.insert(HOST, HeaderValue::from_static(named));
        }
        let (link, (head, _stream)) = tokio::join!(front.open(request), accept_raw(&listener, ""));
        link.unwrap();
        assert_eq!(header(&head, "host"), Some(authority.as_str()));
    }
}

#[tokio::test]
async fn each_handshake_has_a_key_of_its_own() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&settings);
    let (_, _, (first, _a)) = front.open_with(accept_raw(&listener, "")).await;
    let (_, _, (second, _b)) = front.open_with(accept_raw(&listener, "")).await;
    assert_ne!(header(&first, "sec-websocket-key"), header(&second, "sec-websocket-key"));
}

#[tokio::test]
async fn an_answers_cookies_reach_the_client_and_its_hop_does_not() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let lines =
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nAccess-Control-Allow-Origin: *\r\nDate: now\r\nX-Tea: 1\r\n";
    let (opened, ..) = Front::new(&settings).open_with(accept_raw(&listener, lines)).await;
    assert_eq!(opened.headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(names(&opened.headers), ["access-control-allow-origin", "set-cookie", "x-tea"]);
}

#[tokio::test]
async fn a_subprotocol_is_offered_and_the_choice_comes_back() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let (front, mut request) = (Front::new(&settings), request());
    request.headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat, superchat"));
    let choice = "Sec-WebSocket-Protocol: superchat\r\n";
    let (link, (head, _stream)) = tokio::join!(front.open(request), accept_raw(&listener, choice));
    assert_eq!(header(&head, "sec-websocket-protocol"), Some("chat, superchat"));
    let (opened, _) = link.unwrap();
    assert_eq!(opened.subprotocol, Some(HeaderValue::from_static("superchat")));
    assert!(opened.headers.is_empty());
}

#[tokio::test]
async fn an_acceptance_that_does_not_fit_is_none() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&settings);
    for line in ["Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n"] {
        let (error, _) = front.fail_with(accept_raw(&listener, line)).await;
        assert!(matches!(error, OpenError::Protocol(_)), "{error}");
    }
    for head in [
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        &"HTTP/1.1 103 x\r\n\r\n".repeat(101),
    ] {
        let (error, _) = front.fail_with(answer(&listener, head.as_bytes())).await;
        assert!(matches!(error, OpenError::Protocol(_)), "{head}: {error}");
    }
}

#[tokio::test]
async fn a_refusal_is_handed_on_as_it_is() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let refusal =
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: 9\r\n\
        Set-Cookie: a=1\r\n\r\nForbidden";
    let (error, _) = Front::new(&settings).fail_with(answer(&listener, refusal)).await;
    let OpenError::Refused(refused) = error else { panic!("{error}") };
    assert_eq!(refused.reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.reply.body, Bytes::from_static(b"Forbidden"));
    assert_eq!(names(&refused.reply.headers), ["content-type", "set-cookie"]);
}

#[tokio::test]
async fn a_refusals_body_is_read_whatever_its_framing_and_cut_at_64_kib() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&settings);
    let chunked = b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    let mut endless = b"HTTP/1.1 503 x\r\nContent-Length: 100000000\r\n\r\n".to_vec();
    endless.resize(200_000, b'x');
    let torn = b"HTTP/1.1 503 x\r\nContent-Length: 10\r\n\r\nabc";
    for (answer_bytes, len) in [(&chunked[..], 3), (&endless, 64 << 10), (torn, 3)] {
        // The backend hangs up when it has written.
        let backend = async { drop(answer(&listener, answer_bytes).await) };
        let (error, ()) = front.fail_with(backend).await;
        let OpenError::Refused(refused) = error else { panic!("{error}") };
        assert_eq!((refused.reply.status, refused.reply.body.len()), (StatusCode::SERVICE_UNAVAILABLE, len));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_a_backend_that_is_down() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let front = Front::new(&settings);
    for bytes in [&b""[..], b"HTTP/1.1 101 Swi"] {
        let (error, ()) = front.fail_with(async { drop(answer(&listener, bytes).await) }).await;
        assert!(matches!(error, OpenError::Down(_)), "{error}");
    }
    // It was reached, so nobody needs to probe it.
    assert!(!front.upstream.is_down());
}

#[tokio::test]
async fn a_backend_that_never_answers_is_slow_wherever_it_stops() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let span = Duration::from_millis(100);
    let front = Front::new(&Settings { handshake_timeout: span, ..settings });
    let started = Instant::now();
    for head in ["", "HTTP/1.1 101 Swi", "HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\nForb"] {
        let (error, _) = front.fail_with(answer(&listener, head.as_bytes())).await;
        assert!(matches!(error, OpenError::Slow(slow) if slow == span), "{error}");
    }
    // Accepted, but no session is opened.
    let (error, _) = front.fail_with(accept(&listener)).await;
    assert!(matches!(error, OpenError::Slow(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_address_that_does_not_answer_costs_no_more_than_its_own_time() {
    let deaf = deaf().await;
    let (listener, settings) = listen(Kind::WebSocket).await;
    let span = Duration::from_millis(100);
    let urls = vec![url(&deaf.0), url(&listener)];
    let front = Front::new(&Settings { urls, connect_timeout: span, ..settings.clone() });
    front.open_with(accept(&listener)).await;
    // A single address counts as slow, not as refusing, and it is known to be unreachable.
    let urls = vec![url(&deaf.0)];
    let front = Front::new(&Settings { urls, connect_timeout: span, ..settings });
    let error = front.open(request()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Slow(slow) if slow == span), "{error}");
    assert!(front.upstream.is_down());
}

/// Returns a listener whose queue is full: its kernel lets new connections wait.
async fn deaf() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn the_next_url_is_tried_where_one_refuses_the_connection() {
    let (gone, _) = listen(Kind::WebSocket).await;
    let (listener, settings) = listen(Kind::WebSocket).await;
    let urls = vec![url(&gone), url(&listener)];
    drop(gone);
    let front = Front::new(&Settings { urls, ..settings });
    // Twice, so that each of them was the first one.
    for _ in 0..2 {
        front.open_with(accept(&listener)).await;
    }
    assert!(!front.upstream.is_down());
}

#[tokio::test]
async fn urls_take_turns() {
    let (one, settings) = listen(Kind::WebSocket).await;
    let (two, _) = listen(Kind::WebSocket).await;
    let front = Front::new(&Settings { urls: vec![url(&one), url(&two)], ..settings });
    for _ in 0..2 {
        front.open_with(accept(&one)).await;
        front.open_with(accept(&two)).await;
    }
}

#[tokio::test]
async fn a_name_is_resolved() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let port = listener.local_addr().unwrap().port();
    let urls = vec![format!("ws://localhost:{port}/").parse().unwrap()];
    // The name may have an IPv6 address as well, where nobody listens.
    Front::new(&Settings { urls, ..settings }).open_with(accept(&listener)).await;
}

#[tokio::test]
async fn an_opening_that_is_dropped_lets_go_of_its_socket() {
    let (listener, settings) = listen(Kind::EngineIo).await;
    let front = Front::new(&settings);
    let mut opening = front.upstream.open(request());
    let mut stream = tokio::select! {
        _ = &mut opening => panic!("nobody answered"),
        (_, stream) = answer(&listener, b"") => stream,
    };
    drop(opening);
    let read = within(stream.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0)) || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
    assert!(front.tracker.is_empty());
}

#[tokio::test]
async fn messages_that_follow_the_answer_at_once_are_not_lost() {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let backend = async {
        let (_, mut stream) = accept_raw(&listener, "").await;
        stream.write_all(b"\x81\x02hi").await.unwrap();
        stream
    };
    let (_, mut link, _stream) = Front::new(&settings).open_with(backend).await;
    assert_eq!(next_message(&mut *link).await, Message::text("hi"));
}
