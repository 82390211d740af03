//! HTTP/2 by hand (RFC 9113): frames as they are written, also such that no library would write.

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind(pub(super) u8);

impl Kind {
    pub(super) const DATA: Self = Self(0);
    pub(super) const HEADERS: Self = Self(1);
    pub(super) const RESET: Self = Self(3);
    pub(super) const SETTINGS: Self = Self(4);
    pub(super) const PING: Self = Self(6);
    pub(super) const GOAWAY: Self = Self(7);
    pub(super) const WINDOW: Self = Self(8);
    pub(super) const CONTINUATION: Self = Self(9);
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
/// The setting of the window that each stream begins with.
pub(super) const INITIAL_WINDOW: u16 = 4;

/// A client that acknowledges nothing by itself.
pub(super) struct Frames<T>(pub(super) T);

impl Frames<TcpStream> {
    /// Connects with these settings.
    pub(super) async fn connect(server: &Running, settings: &[(u16, u32)]) -> Self {
        Self::begin(server.connect().await.0, settings).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Frames<T> {
    pub(super) async fn begin(stream: T, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self(stream);
        frames.0.write_all(PREFACE).await.unwrap();
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        frames.write(Kind::SETTINGS, 0, 0, &settings).await;
        frames
    }

    pub(super) async fn write(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        self.try_write(kind, flags, stream, payload).await.unwrap();
    }

    pub(super) async fn try_write(
        &mut self,
        kind: Kind,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload)).await?;
        self.0.flush().await
    }

    /// Sends a request without a body.
    pub(super) async fn headers(&mut self, stream: u32, block: &[u8]) {
        self.write(Kind::HEADERS, END_STREAM | END_HEADERS, stream, block).await;
    }

    pub(super) async fn get(&mut self, stream: u32, path: &str) {
        self.headers(stream, &request("GET", path, "x")).await;
    }

    pub(super) async fn reset(&mut self, stream: u32) {
        self.write(Kind::RESET, 0, stream, &8_u32.to_be_bytes()).await;
    }

    /// Opens the window of a stream, or of the connection.
    pub(super) async fn open(&mut self, stream: u32, len: u32) {
        self.write(Kind::WINDOW, 0, stream, &len.to_be_bytes()).await;
    }

    /// Returns the next frame; `None` at the end of the connection, gentle or not.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(*head.last_chunk().unwrap());
            Some(Frame { kind: Kind(head[3]), flags: head[4], stream, payload })
        };
        timeout(PATIENCE, read).await.expect("a frame in time")
    }

    /// Returns the next frame of a kind.
    pub(super) async fn until(&mut self, kind: Kind) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Returns the body of a response.
    pub(super) async fn body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if frame.stream == stream {
                assert_ne!(frame.kind, Kind::RESET, "{frame:?}");
                if frame.kind == Kind::DATA {
                    body.extend(frame.payload);
                }
                if frame.flags & END_STREAM != 0 {
                    return body;
                }
            }
        }
    }

    /// Returns whether the connection ends, whatever comes before.
    pub(super) async fn ends(&mut self) -> bool {
        while self.next().await.is_some() {}
        true
    }
}

/// Returns a header block: the pseudo-headers of a request.
pub(super) fn request(method: &str, path: &str, authority: &str) -> Vec<u8> {
    // Names are indices of the static table (RFC 7541, appendix A).
    let field =
        |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let method = if method == "GET" { vec![0x82] } else { field(2, method) };
    [method, vec![0x86], field(4, path), field(1, authority)].concat()
}

/// Returns a header block that asks for a byte stream (RFC 8441, section 4).
pub(super) fn connect(path: &str, protocol: &str) -> Vec<u8> {
    [request("CONNECT", path, "x"), header(":protocol", protocol)].concat()
}

/// Returns one more field of a header block.
pub(super) fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let len = text.len();
        // RFC 7541, section 5.1: 7 bits, then 7 in each further byte.
        let mut bytes = Vec::new();
        if len < 127 {
            bytes.push(u8::try_from(len).unwrap());
        } else {
            bytes.push(127);
            let mut rest = len - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    [vec![0], text(name), text(value)].concat()
}

pub(super) fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind.0, flags], &stream.to_be_bytes(), payload].concat()
}
