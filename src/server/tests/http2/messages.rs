//! Requests that are malformed (RFC 9113, section 8.1.1), and ends of streams in both directions.

use super::frames::{END_HEADERS, END_STREAM, header, request};
use super::*;

const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];

/// Reads a request's body to its end, and returns it.
async fn repeat(request: Request) -> Result<Response<Full<Bytes>>, hyper::Error> {
    Ok(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
}

/// Fails unless the connection serves another stream.
async fn assert_goes_on(frames: &mut Frames<TcpStream>, stream: u32) {
    frames.get(stream, "/").await;
    frames.until(Kind::HEADERS).await;
}

#[tokio::test]
async fn a_body_of_another_length_than_its_header_says_is_an_error_of_its_stream() {
    let server = Running::start(h2c(), repeat);
    for body in [&b"four"[..], b"sixsix", b""] {
        let mut frames = Frames::connect(&server, &[]).await;
        let block = [request("POST", "/", "x"), header("content-length", "5")].concat();
        frames.write(Kind::HEADERS, END_HEADERS, 1, &block).await;
        frames.write(Kind::DATA, END_STREAM, 1, body).await;
        let reset = frames.until(Kind::RESET).await;
        assert_eq!((reset.stream, &*reset.payload), (1, &PROTOCOL_ERROR[..]), "{body:?}");
        assert_goes_on(&mut frames, 3).await;
    }
}

#[tokio::test]
async fn pseudo_headers_are_those_of_a_request_and_come_first() {
    let server = Running::start(h2c(), hello);
    let whole = request("GET", "/", "x");
    for (what, block) in [
        ("no method, scheme or path", header(":authority", "x")),
        ("a second path", [&whole[..], &header(":path", "/other")].concat()),
        ("one behind a header", [&whole[..], &header("a", "b"), &header(":authority", "x")].concat()),
        ("one of a response", [&whole[..], &header(":status", "200")].concat()),
        ("an unknown one", [&whole[..], &header(":other", "x")].concat()),
        ("a name that is not lower case", [&whole[..], &header("Name", "x")].concat()),
        ("a protocol without CONNECT", [&whole[..], &header(":protocol", "websocket")].concat()),
    ] {
        let mut frames = Frames::connect(&server, &[]).await;
        frames.headers(1, &block).await;
        let mut refused = None;
        while let Some(frame) = frames.next().await {
            assert!(frame.stream != 1 || frame.kind == Kind::RESET, "{what}: {frame:?}");
            if [Kind::RESET, Kind::GOAWAY].contains(&frame.kind) {
                refused = Some(frame.payload[frame.payload.len().min(8) - 4..][..4].to_vec());
                break;
            }
        }
        assert_eq!(refused.as_deref(), Some(&PROTOCOL_ERROR[..]), "{what}");
    }
}

#[tokio::test]
async fn a_reset_of_a_byte_stream_ends_both_of_its_sides() {
    let (told, mut ends) = mpsc::channel(1);
    let server = Running::start(h2c(), move |request: Request| {
        let told = told.clone();
        async move {
            let Some(key) = request.headers().get("sec-websocket-key").cloned() else {
                return hello(request).await;
            };
            let upgrade = ClientUpgrade::take(&mut request.into_parts().0).unwrap();
            TaskTracker::new().spawn(async move {
                let (mut duplex, _) = upgrade.stream().await.unwrap();
                let mut read = Vec::new();
                // The end or an error: a WebSocket without a Close frame is cut either way (RFC 6455, section 7.1.5).
                let _ = duplex.read_to_end(&mut read).await;
                while duplex.write_all(b"x").await.is_ok() {
                    tokio::task::yield_now().await;
                }
                let _ = told.send(read).await;
            });
            Ok(accepted(&key))
        }
    });
    // CANCEL, and INTERNAL_ERROR.
    for reason in [8_u32, 2] {
        let mut frames = Frames::connect(&server, &[]).await;
        frames.write(Kind::HEADERS, END_HEADERS, 1, &frames::connect("/", "websocket")).await;
        frames.until(Kind::HEADERS).await;
        frames.write(Kind::DATA, 0, 1, b"begun").await;
        frames.write(Kind::PING, 0, 0, &[1; 8]).await;
        frames.until(Kind::PING).await;
        frames.write(Kind::RESET, 0, 1, &reason.to_be_bytes()).await;
        let read = timeout(PATIENCE, ends.recv()).await.expect("both sides end").unwrap();
        assert!(b"begun".starts_with(&read), "{reason} {read:?}");
        frames.get(3, "/").await;
        assert_eq!(frames.body(3).await, b"hello");
    }
}

#[tokio::test]
async fn a_byte_stream_that_is_dropped_ends_at_its_client() {
    let server = Running::start(h2c(), |request: Request| async move {
        let key = request.headers()["sec-websocket-key"].clone();
        let upgrade = ClientUpgrade::take(&mut request.into_parts().0).unwrap();
        TaskTracker::new().spawn(async move {
            let (mut duplex, _) = upgrade.stream().await.unwrap();
            duplex.write_all(b"last words").await.unwrap();
        });
        Ok::<_, Infallible>(accepted(&key))
    });
    let mut frames = Frames::connect(&server, &[]).await;
    frames.write(Kind::HEADERS, END_HEADERS, 1, &frames::connect("/", "websocket")).await;
    let mut read = Vec::new();
    loop {
        let frame = frames.next().await.expect("the connection goes on");
        if frame.stream == 1 && frame.kind == Kind::DATA {
            read.extend(frame.payload);
        }
        if frame.stream == 1 && (frame.kind == Kind::RESET || frame.flags & END_STREAM != 0) {
            break;
        }
    }
    assert_eq!(read, b"last words");
}

/// Returns the acceptance of a handshake with this key.
pub(super) fn accepted(key: &http::HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    response.headers_mut().insert("sec-websocket-accept", accept.parse().unwrap());
    response
}
