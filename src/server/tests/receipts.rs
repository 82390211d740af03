//! A response's receipt: settled when the kernel of this host has the last byte, otherwise lost.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt as _;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;
use crate::duplex::{RawHeaders, Receipt, Settle, Socket, TlsStream};
use crate::server::http1::{About, Http, Http1Settings, Waits};
use crate::transport::Body;

/// Where receipts report.
#[derive(Default)]
pub(super) struct Spy {
    seen: Mutex<Vec<(u32, &'static str)>>,
    news: Notify,
}

impl Settle for Spy {
    fn settled(&self, number: u32) {
        self.note(number, "settled");
    }

    fn lost(&self, number: u32) {
        self.note(number, "lost");
    }
}

impl Spy {
    fn note(&self, number: u32, what: &'static str) {
        self.seen.lock().unwrap().push((number, what));
        self.news.notify_one();
    }

    pub(super) fn seen(&self) -> Vec<(u32, &'static str)> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) async fn hears(&self, what: &[(u32, &'static str)]) {
        let heard = async {
            while self.seen().len() < what.len() {
                self.news.notified().await;
            }
        };
        timeout(PATIENCE, heard).await.expect("news in time");
        assert_eq!(self.seen(), what);
    }
}

/// What carries the connection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Carrier {
    Memory,
    Clear,
    Tls,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
pub(super) type Carried = Pin<Box<dyn Stream>>;

/// Serves one connection with responses of `len` bytes, numbered from 0, each after a while if it should wait outside
/// hyper. The carrier's buffers are small.
async fn serve(carrier: Carrier, len: usize, waits: bool) -> (Client<Carried>, Arc<Spy>) {
    let (spy, count) = (Arc::<Spy>::default(), Arc::new(AtomicU32::new(0)));
    let to = Arc::clone(&spy);
    let service = service_fn(move |_: Request| {
        let (to, number) = (Arc::clone(&to), count.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            if waits {
                // It waits, so that it goes on outside of hyper.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let body = Body::delivery(Bytes::from(vec![b'x'; len]), Receipt::new(to, number));
            Ok::<_, Infallible>(Response::new(body))
        })
    });
    let (client, duplex) = connect(carrier).await;
    serve_on(duplex, service);
    (Client(client), spy)
}

/// Serves one connection, whose requests wait outside hyper at once.
pub(super) fn serve_on<S: Serve>(duplex: Duplex, service: S) {
    let builder = hyper::server::conn::http1::Builder::new();
    let waits = Waits { rest_after: Duration::ZERO, idle_timeout: Duration::from_mins(1) };
    let about = About { listener: "".into(), secure: false, half_close_timeout: Duration::ZERO };
    let settings = Arc::new(Http1Settings { builder, waits, limits: ConnectionLimits::default(), about });
    TaskTracker::new().spawn(Http::new(settings, duplex, service, RawHeaders::default()));
}

pub(super) async fn connect(carrier: Carrier) -> (Carried, Duplex) {
    if carrier == Carrier::Memory {
        let (near, far) = tokio::io::duplex(32);
        return (Box::pin(far), near.into());
    }
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let dialled = socket.connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(dialled, listener.accept());
    let (client, (accepted, _)) = (client.unwrap(), accepted.unwrap());
    SockRef::from(&accepted).set_send_buffer_size(4096).unwrap();
    if carrier == Carrier::Clear {
        return (Box::pin(client), accepted.into());
    }
    let (settings, _files, certificate) = tls::settings();
    let tls = ServerTls::read(settings.listeners[0].tls.as_ref().unwrap()).unwrap();
    let accepting = TlsStream::accept(Socket::from(accepted), |_| Arc::clone(tls.config()));
    let (client, accepted) =
        tokio::join!(TlsConnector::from(tls::trusting(&certificate)).connect(tls::name(), client), accepting);
    (Box::pin(client.unwrap()), accepted.unwrap().into())
}

/// Reads one response with a body of `len` bytes.
async fn read(client: &mut Client<Carried>, len: usize) {
    let whole = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.0.read_u8().await.unwrap());
        }
        client.0.read_exact(&mut vec![0; len]).await.unwrap();
    };
    timeout(PATIENCE, whole).await.expect("a response in time");
}

pub(super) const ASK: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
/// Shorter than a stream in memory buffers; as long as TLS takes at once; more than any kernel here buffers.
pub(super) const LENS: [usize; 3] = [32, 64 << 10, 1 << 20];

fn carriers() -> impl Iterator<Item = (Carrier, usize, bool)> {
    let carriers = [Carrier::Memory, Carrier::Clear, Carrier::Tls];
    carriers
        .into_iter()
        .flat_map(|carrier| LENS.map(|len| (carrier, len)))
        .flat_map(|(carrier, len)| [(carrier, len, false), (carrier, len, true)])
}

/// Returns whether the kernel, or the pipe, takes such a response without a reader.
fn is_taken_unread(carrier: Carrier, len: usize) -> bool {
    carrier != Carrier::Memory && len < 1024
}

#[tokio::test]
async fn a_response_that_is_read_is_settled_once() {
    for (carrier, len, waits) in carriers() {
        let (mut client, spy) = serve(carrier, len, waits).await;
        for number in 0..2 {
            client.write(ASK).await;
            read(&mut client, len).await;
            let all: Vec<_> = (0..=number).map(|number| (number, "settled")).collect();
            spy.hears(&all).await;
        }
        drop(client);
        tokio::task::yield_now().await;
        assert_eq!(spy.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_response_has_lost_it() {
    for (carrier, len, waits) in carriers().filter(|(carrier, len, _)| !is_taken_unread(*carrier, *len)) {
        let (mut client, spy) = serve(carrier, len, waits).await;
        client.write(ASK).await;
        let mut part = [0; 32];
        timeout(PATIENCE, client.0.read_exact(&mut part)).await.unwrap().unwrap();
        // Nothing must be heard of it for a while.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(spy.seen(), [], "{carrier:?} {len} {waits}: nobody has taken it");
        drop(client);
        spy.hears(&[(0, "lost")]).await;
    }
}

#[tokio::test]
async fn a_response_that_the_kernel_has_is_settled_unread() {
    for (carrier, len, waits) in carriers().filter(|(carrier, len, _)| is_taken_unread(*carrier, *len)) {
        let (mut client, spy) = serve(carrier, len, waits).await;
        client.write(ASK).await;
        spy.hears(&[(0, "settled")]).await;
        drop(client);
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_settled_in_order() {
    for carrier in [Carrier::Memory, Carrier::Clear, Carrier::Tls] {
        for waits in [false, true] {
            let (mut client, spy) = serve(carrier, 5000, waits).await;
            client.write(ASK).await;
            client.0.flush().await.unwrap();
            client.write(ASK).await;
            client.0.flush().await.unwrap();
            read(&mut client, 5000).await;
            read(&mut client, 5000).await;
            spy.hears(&[(0, "settled"), (1, "settled")]).await;
        }
    }
}

#[tokio::test]
async fn a_response_behind_which_the_connection_ends_is_settled() {
    for (carrier, len, waits) in carriers() {
        let (mut client, spy) = serve(carrier, len, waits).await;
        client.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(client.rest().await.ends_with('x'));
        spy.hears(&[(0, "settled")]).await;
    }
}

#[tokio::test]
async fn a_response_that_is_never_written_is_lost() {
    let (spy, body) =
        (Arc::<Spy>::default(), |to| Body::delivery(Bytes::from_static(b"x"), Receipt::new(to, 0)));
    drop(body(spy.clone()));
    spy.hears(&[(0, "lost")]).await;
    let frame = body(spy.clone()).frame().await;
    drop(frame);
    spy.hears(&[(0, "lost"), (0, "lost")]).await;
}
