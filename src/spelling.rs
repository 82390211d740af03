//! How a peer spells its header names, so that they can be forwarded unchanged.
//!
//! Names are case-insensitive (RFC 9110, section 5.1), and hyper keeps them in lower case, but small servers and
//! clients compare them exactly. Hyper writes names as an extension of the message says, and creates that extension
//! only when it parses a header: so a [`Spelling`] is made by letting hyper parse one.

use std::convert::Infallible;
use std::future::{Future as _, ready};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use memchr::{memchr_iter, memmem};

/// The bytes of a request's header, in the extensions of the request that hyper read from them. Some of the body may
/// follow.
#[derive(Clone, Debug)]
pub struct HeadBytes(pub Vec<u8>);

/// The spelling of a message's header names. Unknown names are written `Like-This`.
#[derive(Clone, Debug)]
pub struct Spelling(Arc<Extensions>);

impl Spelling {
    /// Creates the client's spelling, for a request that is passed on; added names are spelled as in the RFCs.
    pub fn of_client(extensions: &Extensions) -> Self {
        Self::of_request(extensions, |line, names| [line, names, OWN_NAMES, b"\r\n"].concat())
    }

    /// Creates the client's spelling for a handshake of our own with its headers: the handshake's own headers are
    /// spelled as in its RFC.
    pub fn of_handshake(extensions: &Extensions) -> Self {
        Self::of_request(extensions, |line, names| [line, OWN_NAMES, names, b"\r\n"].concat())
    }

    fn of_request(extensions: &Extensions, put_together: impl FnOnce(&[u8], &[u8]) -> Vec<u8>) -> Self {
        let Some(HeadBytes(bytes)) = extensions.get() else { return Self::default() };
        // Of several spellings of a name, hyper uses the first for the first line, and so on.
        let ends = memmem::find(bytes, b"\r\n\r\n").zip(bytes.iter().position(|byte| *byte == b'\n'));
        let Some((end, line)) = ends.filter(|(end, line)| line < end) else { return Self::default() };
        Self(Arc::new(parse(&put_together(&bytes[..=line], &bytes[line + 1..end + 2]))))
    }

    /// Creates the backend's spelling, from a response that was read with `preserve_header_case`.
    pub fn of_response(mut extensions: Extensions) -> Self {
        // It would keep the connection alive.
        extensions.remove::<OnUpgrade>();
        Self(Arc::new(extensions))
    }

    /// Applies the spelling to a message.
    pub fn apply(&self, extensions: &mut Extensions) {
        extensions.extend((*self.0).clone());
        extensions.insert(Applied);
    }

    /// Returns whether a message has a spelling.
    pub fn is_applied(extensions: &Extensions) -> bool {
        extensions.get::<Applied>().is_some()
    }
}

#[derive(Clone, Copy)]
struct Applied;

/// The spelling of the RFCs.
impl Default for Spelling {
    fn default() -> Self {
        static OWN: LazyLock<Spelling> = LazyLock::new(|| {
            Spelling(Arc::new(parse(&[b"GET / HTTP/1.1\r\n", OWN_NAMES, b"\r\n"].concat())))
        });
        OWN.clone()
    }
}

/// Lets hyper read a request's header, and returns its extensions. The input is complete, so one poll is enough.
fn parse(head: &[u8]) -> Extensions {
    let found = Mutex::new(Extensions::new());
    let service = service_fn(|request: Request<Incoming>| {
        let mut extensions = request.into_parts().0.extensions;
        extensions.remove::<OnUpgrade>();
        *found.lock().unwrap_or_else(PoisonError::into_inner) = extensions;
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let io = TokioIo::new(tokio::io::join(head, tokio::io::sink()));
    let lines = memchr_iter(b'\n', head).count();
    let mut builder = http1::Builder::new();
    builder.preserve_header_case(true).max_headers(lines).keep_alive(false);
    {
        let connection = pin!(builder.serve_connection(io, service));
        let _ = connection.poll(&mut Context::from_waker(Waker::noop()));
    }
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The headers of a handshake, and the names that `Like-This` gets wrong.
const OWN_NAMES: &[u8] =
    b"Connection: x\r\nUpgrade: x\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Extensions: x\r\n\
    Sec-WebSocket-Key: x\r\nSec-WebSocket-Protocol: x\r\nSec-WebSocket-Version: x\r\nWWW-Authenticate: x\r\nX-Real-IP: x\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &[u8]) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(HeadBytes(head.to_vec()));
        extensions
    }

    #[test]
    fn there_is_a_spelling_whatever_is_known_of_the_request() {
        let whole = request(b"POST /x HTTP/1.1\r\nX-TenANT: 7\r\ncontent-LENGTH: 3\r\n\r\nabc");
        for extensions in [whole, request(b"GET"), request(b"\r\n\r\n"), Extensions::new()] {
            for spelling in [Spelling::of_client(&extensions), Spelling::of_handshake(&extensions)] {
                let mut applied = Extensions::new();
                spelling.apply(&mut applied);
                assert!(Spelling::is_applied(&applied));
                assert_eq!(applied.len(), 2);
            }
        }
    }
}
