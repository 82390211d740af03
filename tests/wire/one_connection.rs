//! What a browser does over HTTP/2: the requests of a page and each WebSocket of it share a connection, which keeps their order.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::multiplexed::Multiplexed;
use crate::support::world::{Excluded, World};
use crate::support::{SOON, Setup};

/// A connection by raw frames (RFC 9113, section 4.1).
struct Connection {
    stream: TcpStream,
    next: u32,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Connection {
    fn new(world: &World) -> Self {
        let mut stream = TcpStream::connect(world.target.public).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).unwrap();
        Self { stream, next: 1 }
    }

    /// Returns a request's frame, and its stream.
    fn request(&mut self, fields: &[(&str, &str)], flags: u8) -> (Vec<u8>, u32) {
        let stream = self.next;
        self.next += 2;
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        // Literal fields that are not indexed (RFC 7541, section 6.2.2).
        let block: Vec<u8> =
            fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
        (frame(HEADERS, END_HEADERS | flags, stream, &block), stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Returns the next bytes of a stream.
    #[track_caller]
    fn data(&mut self, stream: u32) -> Vec<u8> {
        loop {
            let (of, payload) = self.any_data();
            if of == stream {
                return payload;
            }
        }
    }

    /// Returns the short bodies of two streams, in the order in which they come.
    #[track_caller]
    fn bodies(&mut self, streams: [u32; 2]) -> Vec<Vec<u8>> {
        let (first, one) = self.any_data();
        let (second, other) = self.any_data();
        assert!(first != second && [first, second].iter().all(|stream| streams.contains(stream)));
        vec![one, other]
    }

    /// Returns the next bytes, with their stream.
    #[track_caller]
    fn any_data(&mut self) -> (u32, Vec<u8>) {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).expect("a frame in time");
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.stream.read_exact(&mut payload).unwrap();
            if head[3] == DATA && !payload.is_empty() {
                return (u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload);
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Returns a client's text frame (RFC 6455, section 5.2), whose mask changes nothing.
fn text(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Returns the pseudo-headers of a request.
fn fields<'f>(method: &'f str, path: &'f str) -> [(&'f str, &'f str); 4] {
    [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h")]
}

#[test]
fn a_goodbye_behind_a_poll_is_handled_after_it() {
    let setup = Setup::new().server("h2c = true");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    if world.other.is_some() {
        return;
    }
    for _ in 0..50 {
        let target = Multiplexed::connect(world.target.public).handshake();
        let peer = world.accept();
        let mut connection = Connection::new(&world);
        let (get, poll) = connection.request(&fields("GET", &target), END_STREAM);
        let (post, goodbye) = connection.request(&fields("POST", &target), 0);
        connection.send(&[get, post, frame(DATA, END_STREAM, goodbye, b"1")].concat());
        let mut answers = connection.bodies([poll, goodbye]);
        answers.sort();
        assert_eq!(answers, [b"6".to_vec(), b"ok".to_vec()]);
        peer.assert_closed();
    }
}

#[test]
fn a_poll_behind_an_upgrade_finds_the_session_on_its_websocket() {
    let setup = Setup::new().server("h2c = true");
    let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
    if world.other.is_some() {
        return;
    }
    for turn in 0..50 {
        let target = Multiplexed::connect(world.target.public).handshake();
        let peer = world.accept();
        let mut connection = Connection::new(&world);
        let upgrade = target.replace("polling", "websocket");
        let version = [(":protocol", "websocket"), ("sec-websocket-version", "13")];
        let [method, scheme, path, authority] = fields("CONNECT", &upgrade);
        let (connect, socket) =
            connection.request(&[method, scheme, path, authority, version[0], version[1]], 0);
        // What is sent before the response is kept for the WebSocket.
        connection.send(&[connect, frame(DATA, 0, socket, &text("2probe"))].concat());
        assert_eq!(connection.data(socket), b"\x81\x063probe", "{turn}");
        let (poll, stream) = connection.request(&fields("GET", &target), END_STREAM);
        connection.send(&[frame(DATA, 0, socket, &text("5")), poll].concat());
        let refused = connection.data(stream);
        assert_eq!(String::from_utf8(refused).unwrap(), r#"{"code":3,"message":"Bad request"}"#, "{turn}");
        peer.send("over the WebSocket");
        assert_eq!(connection.data(socket), b"\x81\x134over the WebSocket", "{turn}");
        // The end of the stream is the end of the connection that it stands for.
        connection.send(&frame(DATA, END_STREAM, socket, &[]));
        peer.assert_closed();
    }
}
