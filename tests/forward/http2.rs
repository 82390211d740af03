//! Forwarded HTTP whose clients speak HTTP/2 (RFC 9113): the same to the backend, which knows HTTP/1.1 alone.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::site::{Plan, Site, ok};
use crate::support::{SOON, eventually, metrics};

type Body = BoxBody<Bytes, Infallible>;
type Answer = (http::response::Parts, Result<(Bytes, Option<HeaderMap>), hyper::Error>);

/// One connection.
struct Client {
    runtime: Runtime,
    sender: SendRequest<Body>,
}

impl Client {
    fn connect(site: &Site) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(site.target.public).await.unwrap();
            let handshake = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
            let (sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    fn send(&self, request: Request<Body>) -> JoinHandle<Result<Answer, hyper::Error>> {
        let mut sender = self.sender.clone();
        self.runtime.spawn(async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok((head, whole(body).await))
        })
    }

    #[track_caller]
    fn answer(&self, waiting: JoinHandle<Result<Answer, hyper::Error>>) -> Answer {
        let ended = self.runtime.block_on(async { timeout(SOON, waiting).await });
        ended.expect("a response in time").unwrap().expect("a response")
    }
}

async fn whole(body: Incoming) -> Result<(Bytes, Option<HeaderMap>), hyper::Error> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

fn plan() -> Plan {
    Plan::new().server("h2c = true")
}

fn request(method: Method, body: Body) -> Request<Body> {
    Request::builder().method(method).uri("http://h.example/x").body(body).unwrap()
}

fn get() -> Request<Body> {
    request(Method::GET, Empty::new().boxed())
}

#[track_caller]
fn assert_body(answer: &Answer, status: u16, body: &str) {
    let got = answer.1.as_ref().map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!((answer.0.status.as_u16(), got.unwrap().as_str()), (status, body), "{answer:?}");
}

#[test]
fn a_backend_gets_one_host_and_one_line_of_cookies() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let mut request = get();
    for cookie in ["a=1", "b=2; c=3", "d=4"] {
        request.headers_mut().append(COOKIE, HeaderValue::from_static(cookie));
    }
    let waiting = client.send(request);
    let mut line = site.accept();
    let got = line.request();
    assert_eq!(got.line(), "GET /x HTTP/1.1");
    assert_eq!(got.headers_named("host"), ["h.example"]);
    assert_eq!(got.headers_named("cookie"), ["a=1; b=2; c=3; d=4"]);
    line.reply(&ok("hello"));
    assert_body(&client.answer(waiting), 200, "hello");
}

#[test]
fn a_host_that_contradicts_the_authority_is_refused() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let mut request = get();
    request.headers_mut().insert(HOST, HeaderValue::from_static("other.example"));
    assert_eq!(client.answer(client.send(request)).0.status, 400);
    site.assert_quiet();
}

#[test]
fn what_connects_to_anything_but_a_web_socket_is_not_implemented() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let mut tunnel = Request::new(Empty::new().boxed());
    (*tunnel.method_mut(), *tunnel.uri_mut()) = (Method::CONNECT, "h.example:443".parse().unwrap());
    assert_eq!(client.answer(client.send(tunnel)).0.status, 501);
    let mut other = request(Method::CONNECT, Empty::new().boxed());
    other.extensions_mut().insert(Protocol::from_static("connect-udp"));
    assert_eq!(client.answer(client.send(other)).0.status, 501);
    site.assert_quiet();
    assert_goes_on(&client, &site);
}

#[test]
fn trailers_cross_both_ways() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
    // Of no known length: beside a `Content-Length`, HTTP/1.1 has no trailers.
    let frames = [Frame::data(Bytes::from("body")), Frame::trailers(trailers)].map(Ok);
    let mut asked = request(Method::POST, StreamBody::new(stream::iter(frames)).boxed());
    asked.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    asked.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
    let waiting = client.send(asked);
    let mut line = site.accept();
    assert_eq!(line.request().header("te"), Some("trailers"));
    assert!(line.until("\r\n\r\n").to_lowercase().ends_with("0\r\nx-sum: 7\r\n\r\n"));
    line.reply(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Time\r\n\r\n2\r\nok\r\n0\r\nX-Time: 9\r\n\r\n",
    );
    let answer = client.answer(waiting);
    assert_eq!(answer.0.headers.get("transfer-encoding"), None);
    let (body, trailers) = answer.1.unwrap();
    assert_eq!(
        (&*body, &trailers.expect("trailers")["x-time"]),
        (&b"ok"[..], &HeaderValue::from_static("9"))
    );
}

#[test]
fn a_response_without_a_body_ends_with_its_header() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let mut line = None;
    for (method, head, status) in [
        (Method::HEAD, "200 OK\r\nContent-Length: 5", 200),
        (Method::GET, "304 Not Modified\r\nContent-Length: 5", 304),
        (Method::GET, "204 No Content", 204),
    ] {
        let waiting = client.send(request(method, Empty::new().boxed()));
        let line = line.get_or_insert_with(|| site.accept());
        line.request();
        line.reply(&format!("HTTP/1.1 {head}\r\n\r\n"));
        let answer = client.answer(waiting);
        assert_body(&answer, status, "");
        let length = answer.0.headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
        assert_eq!(length, (status != 204).then_some(&b"5"[..]), "{status}");
    }
}

#[test]
fn a_backend_that_breaks_off_resets_the_stream_and_no_other() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    for head in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let broken = client.send(get());
        let mut line = site.accept();
        line.request();
        line.reply(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nha"));
        let whole = client.send(get());
        let mut other = site.accept();
        other.request();
        drop(line);
        let answer = client.answer(broken);
        let error = format!("{:?}", answer.1.expect_err("it is not taken for whole"));
        assert!(error.contains("INTERNAL_ERROR"), "{error}");
        other.reply(&(ok("whole").replace("200 OK\r\n", "200 OK\r\nConnection: close\r\n")));
        assert_body(&client.answer(whole), 200, "whole");
    }
}

#[test]
fn a_client_that_resets_its_stream_ends_the_request_at_the_backend() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let waiting = client.send(get());
    let mut line = site.accept();
    line.request();
    // Hyper's client resets the stream of a response that nobody waits for.
    waiting.abort();
    line.assert_ends();
    let waiting = client.send(get());
    let mut line = site.accept();
    line.request();
    line.reply(&ok("next"));
    assert_body(&client.answer(waiting), 200, "next");
}

#[test]
fn a_body_that_waits_for_a_100_crosses_once_the_backend_wants_it() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let mut asked = request(Method::POST, Full::from("body").boxed());
    asked.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    // HTTP/2 has no interim responses here, so such a client sends its body after a while; this one does so at once.
    let waiting = client.send(asked);
    let mut line = site.accept();
    assert_eq!(line.request().header("expect"), Some("100-continue"));
    line.assert_quiet();
    line.reply("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(line.body(4), b"body");
    line.reply(&ok("taken"));
    assert_body(&client.answer(waiting), 200, "taken");
}

/// Checks that other requests of the connection are served on.
#[track_caller]
fn assert_goes_on(client: &Client, site: &Site) {
    let waiting = client.send(get());
    let mut line = site.accept();
    line.request();
    line.reply(&ok("next"));
    assert_body(&client.answer(waiting), 200, "next");
}

/// Returns a request whose body comes in pieces of ten bytes, without end.
fn endless() -> Request<Body> {
    let pieces = stream::unfold((), |()| async {
        // Steadily, however slowly.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((Ok(Frame::data(Bytes::from_static(b"ten bytes."))), ()))
    });
    request(Method::POST, StreamBody::new(pieces).boxed())
}

#[test]
fn a_body_over_a_limit_costs_its_stream_and_not_its_connection() {
    for (line, limit, status) in
        [("body_timeout = \"400ms\"", "body_timeout", 408), ("max_body = 100", "max_body", 413)]
    {
        let site = Site::with(&plan().route(line));
        let client = Client::connect(&site);
        let waiting = client.send(endless());
        let mut refused = site.accept();
        refused.request();
        assert_eq!(client.answer(waiting).0.status, status, "{limit}");
        refused.assert_ends();
        let label = format!("limit=\"{limit}\"");
        let is_counted =
            || metrics::has_counted(site.target.admin, "polliwog_limited_total", &[label.as_str()]);
        eventually(is_counted, || format!("{limit} is counted"));
        assert_goes_on(&client, &site);
    }
}

#[test]
fn requests_beyond_a_line_get_a_503_each_and_their_connection_goes_on() {
    let site = Site::with(&plan().route("max_requests = 1\nqueue = 0"));
    let client = Client::connect(&site);
    let first = client.send(get());
    let mut line = site.accept();
    line.request();
    for _ in 0..3 {
        let (head, _) = client.answer(client.send(get()));
        assert_eq!((head.status.as_u16(), head.headers.contains_key("retry-after")), (503, true));
    }
    line.reply(&ok("first"));
    assert_body(&client.answer(first), 200, "first");
}

#[test]
fn an_early_hint_is_left_out() {
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    let waiting = client.send(get());
    let mut line = site.accept();
    line.request();
    line.reply(&format!("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n{}", ok("page")));
    let answer = client.answer(waiting);
    assert_body(&answer, 200, "page");
    assert_eq!(answer.0.headers.get("link"), None);
}

#[test]
fn a_response_to_a_request_that_was_no_handshake_is_no_web_socket() {
    // A backend that answers an extended CONNECT with 200 has not accepted it; its refusals keep their status.
    let site = Site::with(&plan());
    let client = Client::connect(&site);
    for (status, expected) in [("200 OK", 502), ("403 Forbidden", 403)] {
        let mut asked = request(Method::CONNECT, Empty::new().boxed());
        asked.extensions_mut().insert(Protocol::from_static("websocket"));
        asked.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
        let waiting = client.send(asked);
        let mut line = site.accept();
        let got = line.request();
        assert_eq!((got.header("upgrade"), got.header("connection")), (Some("websocket"), Some("upgrade")));
        assert!(got.header("sec-websocket-key").is_some());
        line.reply(&format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"));
        let answer: Response<()> = Response::from_parts(client.answer(waiting).0, ());
        assert_eq!(answer.status(), expected);
    }
}
