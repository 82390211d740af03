//! Whatever a client sends, in whatever pieces: it makes no difference whether hyper alone reads and answers it.

use std::collections::VecDeque;
use std::sync::Mutex;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::shared_headers::SharedHeaders;

/// What came of it.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    /// The requests that the service got.
    calls: Vec<String>,
    /// What the client read, without dates.
    answer: String,
    /// After how many pieces the connection ended.
    end: Option<usize>,
}

/// The body of a response: there at once, or in parts, some of which come later.
enum Reply {
    /// It may bring headers.
    Whole(Full<Bytes>, Option<SharedHeaders>),
    Parts(VecDeque<Bytes>, Option<Pin<Box<Sleep>>>),
}

impl Reply {
    fn whole(body: impl Into<Full<Bytes>>) -> Self {
        Self::Whole(body.into(), None)
    }

    fn parts() -> Self {
        let parts = ["prelude", "", "x", LATER, "0123456789abcdefg", LATER, LATER];
        let mut parts: VecDeque<Bytes> = parts.into_iter().map(Bytes::from).collect();
        parts.insert(3, Bytes::from("y".repeat(3000)));
        parts.push_back(Bytes::from("z".repeat(1024)));
        parts.push_back(Bytes::from("z".repeat(1025)));
        Self::Parts(parts, None)
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let (parts, later) = match self.get_mut() {
            Self::Whole(whole, _) => return Pin::new(whole).poll_frame(cx),
            Self::Parts(parts, later) => (parts, later),
        };
        loop {
            if let Some(sleep) = later {
                ready!(sleep.as_mut().poll(cx));
                *later = None;
            }
            match parts.pop_front() {
                Some(part) if part == LATER => *later = Some(Box::pin(sleep(Duration::from_millis(13)))),
                part => return Poll::Ready(part.map(|part| Ok(http_body::Frame::data(part)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(whole, _) if whole.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(whole, _) => whole.size_hint(),
            Self::Parts(..) => http_body::SizeHint::default(),
        }
    }
}

impl crate::duplex::Receipted for Reply {
    fn is_stream(&self) -> bool {
        matches!(self, Self::Parts(..))
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(..))
    }

    fn take_whole(&mut self) -> Option<(Bytes, Option<crate::duplex::Receipt>)> {
        match self {
            Self::Whole(whole, _) => whole.take_whole(),
            Self::Parts(..) => None,
        }
    }

    fn headers(&self) -> Option<&SharedHeaders> {
        match self {
            Self::Whole(_, headers) => headers.as_ref(),
            Self::Parts(..) => None,
        }
    }

    fn take_headers(&mut self) -> Option<SharedHeaders> {
        match self {
            Self::Whole(_, headers) => headers.take(),
            Self::Parts(..) => None,
        }
    }
}

impl From<&'static str> for Reply {
    fn from(text: &'static str) -> Self {
        Self::whole(text)
    }
}

/// A pause between two parts.
const LATER: &str = "(later)";

/// Sends these pieces, each when what came before it has been handled.
async fn outcome(pieces: &[Vec<u8>], only_hyper: bool) -> Outcome {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let service = service_fn(move |request: Request| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let path = head.uri.path().to_owned();
            // Read later, read at once, or not at all.
            if path.contains('w') {
                // At no time at which a piece is sent, so that it is certain which comes first.
                sleep(Duration::from_millis(13)).await;
            }
            let body = if path.contains('u') { None } else { body.collect().await.ok() };
            let body = body.map(http_body_util::Collected::to_bytes);
            seen.lock().unwrap().push(format!("{head:?} {body:?}"));
            let mut response = Response::new(Reply::whole(format!("<{path}>")));
            for (name, value) in [("x-own", "a"), ("etag", "b"), ("x-own", "c"), ("content-type", "d")] {
                let value = http::HeaderValue::from_static(value);
                response.headers_mut().append(name, value);
            }
            match path.len() % 5 {
                _ if path.contains('s') => *response.body_mut() = Reply::parts(),
                0 => *response.status_mut() = http::StatusCode::NOT_FOUND,
                1 => {
                    *response.status_mut() = http::StatusCode::NO_CONTENT;
                    *response.body_mut() = Reply::whole("");
                }
                2 => *response.body_mut() = Reply::whole(""),
                3 => *response.body_mut() = Reply::whole("x".repeat(3000)),
                _ => {}
            }
            let (mut head, mut body) = response.into_parts();
            if path.contains('c')
                && let Reply::Whole(_, headers) = &mut body
            {
                *headers = Some(std::mem::take(&mut head.headers).into());
            }
            Ok::<_, Infallible>(Response::from_parts(head, body))
        })
    });
    // So low that some are reached.
    let limits = ConnectionLimits {
        header_timeout: 5 * SECOND,
        header_max: 100,
        header_lines: 3,
        target_max: 5,
        connection_requests: 4,
        ..ConnectionLimits::default()
    };
    let (mut http, mut theirs) = serve_within(limits, Duration::from_hours(1), service);
    if only_hyper {
        http.reattach_idle();
    }
    let (mut answer, mut end) = (Vec::new(), None);
    for (number, piece) in pieces.iter().chain([&Vec::new(), &Vec::new()]).enumerate() {
        if number == pieces.len() {
            let _is_gone = theirs.shutdown().await;
        } else if end.is_none() {
            let _is_gone = theirs.write_all(piece).await;
        }
        let step = if number < pieces.len() { Duration::from_millis(10) } else { 10 * SECOND };
        let _goes_on = timeout(step, async {
            let mut is_read = false;
            loop {
                tokio::select! {
                    biased;
                    _ = &mut http, if end.is_none() => end = Some(number),
                    len = theirs.read_buf(&mut answer), if !is_read => is_read = len.unwrap_or(0) == 0,
                    else => break,
                }
            }
        })
        .await;
    }
    drop(http);
    let _is_broken = theirs.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    let lines = answer.split_inclusive('\n').filter(|line| !line.to_ascii_lowercase().starts_with("date: "));
    let answer = lines.collect();
    let calls = calls.lock().unwrap().clone();
    Outcome { calls, answer, end }
}

/// Panics if a client that sends these pieces can tell whether hyper is there.
pub(crate) fn is_alike(pieces: &[Vec<u8>]) {
    let run = |only_hyper| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(outcome(pieces, only_hyper))
    };
    let shown: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
    assert_eq!(run(false), run(true), "{shown:?}");
}

/// Returns parts of requests, most of them as usual.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let begin = select(vec![
        "GET / HTTP/1.1\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n",
        "GET /w?q HTTP/1.1\r\nHost: x\r\n",
        "POST /swu HTTP/1.1\r\nHost: x\r\n",
        "HEAD /s HTTP/1.1\r\nHost: x\r\n",
        "GET /s HTTP/1.0\r\nHost: x\r\n",
        "POST /ab HTTP/1.1\r\nHost: x\r\n",
        "POST /wab HTTP/1.1\r\nHost: x\r\n",
        "POST /u HTTP/1.1\r\nHost: x\r\n",
        "GET http://x/ab HTTP/1.1\r\n",
        "HEAD /ab HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET /<a>\" HTTP/1.1\r\n",
        "GET /a HTTP/1.0\r\n",
        "GET /ab HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n",
        "GET /\n",
        "GET /abcdef HTTP/1.1\r\nHost: x\r\n",
        "POST /?23456 HTTP/1.1\r\nHost: x\r\n",
    ]);
    let line = select(vec![
        "Accept: */*\r\n",
        "Cookie: a=b; c=\"d\"\r\n",
        "Accept: a\r\n",
        "X: \t y \t\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Keep-Alive, x\r\n",
        "Connection: close\r\n",
        "Upgrade: websocket\r\n",
        "TE: trailers\r\n",
        "Expect: 100-continue\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length : 5\r\n",
        "content-length:5\r\n",
        "X: y\n",
        " folded\r\n",
        "no colon\r\n",
        "X: \u{e4}\r\n",
        "Y: \0\r\n",
        "Z:\r\n",
    ]);
    let body =
        select(vec!["", "", "hello", "hello", "5\r\nhello\r\n0\r\n\r\n", "GET /smuggled HTTP/1.1\r\n\r\n"]);
    let end = select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n", ""]);
    let usual = select(vec![
        "GET /w HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /abc HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        "POST /abcd HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /wcd HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    ]);
    prop_oneof![
        3 => usual.prop_map(|request| request.as_bytes().to_vec()),
        2 => (begin, vec(line, 0..4), end, body).prop_map(|(begin, lines, end, body)| {
            format!("{begin}{}{end}{body}", lines.concat()).into_bytes()
        }),
    ]
}

/// Returns requests in pieces, some of whose bytes are others.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let cuts = prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..4)];
    let other = (any::<Index>(), prop_oneof![any::<u8>(), select(b"\r\n :,\0\x7f5".to_vec())]);
    let others = prop_oneof![3 => Just(Vec::new()), 1 => vec(other, 1..3)];
    let request = (part(), cuts, others).prop_map(|(mut bytes, cuts, others)| {
        for (at, byte) in others {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).filter(|piece| !piece.is_empty()).collect()
    });
    (vec(request, 1..5), vec(any::<bool>(), 20)).prop_map(|(requests, joins): (Vec<Vec<Vec<u8>>>, _)| {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        for (piece, is_joined) in requests.concat().into_iter().zip(joins.into_iter().cycle()) {
            match pieces.last_mut().filter(|_| is_joined && piece.len() % 3 == 0) {
                Some(last) => last.extend(piece),
                None => pieces.push(piece),
            }
        }
        pieces
    })
}

#[test]
fn headers_that_a_body_brings_are_left_to_hyper_if_they_are_about_the_connection() {
    for (name, is_hypers) in [("trailer", true), ("connection", true), ("x-own", false)] {
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static("x"),
        )]);
        let response = Response::new(Reply::Whole(Full::default(), Some(headers.into())));
        let written = answer::header(&response, answer::Framing::Length(0));
        assert_eq!(written.is_none(), is_hypers, "{name}");
    }
}

proptest! {
    #[test]
    fn a_client_cannot_tell_whether_hyper_is_there(pieces in pieces()) {
        is_alike(&pieces);
    }
}
