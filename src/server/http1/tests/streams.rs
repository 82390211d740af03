//! Responses that continue, outside hyper.

use std::sync::Mutex;

use tokio::sync::mpsc;

use super::*;
use crate::duplex::{Piece, Receipt, Receipted, Settle};

/// A body whose parts come when they are sent, each with a receipt.
struct Parts {
    coming: mpsc::Receiver<&'static str>,
    spy: Arc<Spy>,
    connection: Option<Unflushed>,
}

/// Learns what becomes of each part.
#[derive(Default)]
struct Spy(Mutex<Vec<(u32, bool)>>);

impl Settle for Spy {
    fn settled(&self, number: u32) {
        self.0.lock().unwrap().push((number, true));
    }

    fn lost(&self, number: u32) {
        self.0.lock().unwrap().push((number, false));
    }
}

impl http_body::Body for Parts {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Piece>, Infallible>>> {
        let part = ready!(self.coming.poll_recv(cx));
        Poll::Ready(part.map(|part| {
            let len = u32::try_from(part.len()).unwrap();
            let receipt = Receipt::new(Arc::clone(&self.spy) as _, len);
            Ok(http_body::Frame::data(Piece::with_receipt(part.into(), receipt, self.connection.clone())))
        }))
    }
}

impl Receipted for Parts {
    fn set_connection(&mut self, unflushed: &Unflushed) {
        self.connection = Some(unflushed.clone());
    }

    fn is_stream(&self) -> bool {
        true
    }
}

impl From<&'static str> for Parts {
    fn from(_: &'static str) -> Self {
        Self { coming: mpsc::channel(1).1, spy: Arc::default(), connection: None }
    }
}

type Sender = mpsc::Sender<&'static str>;

/// Serves a stream, of which the header has been read.
async fn stream() -> (Http<impl Serve>, DuplexStream, Sender, Arc<Spy>) {
    let (sender, coming) = mpsc::channel(8);
    let spy = Arc::new(Spy::default());
    let body = Mutex::new(Some(Parts { coming, spy: Arc::clone(&spy), connection: None }));
    let body = Arc::new(body);
    let service = service_fn(move |_: Request| {
        let body = body.lock().unwrap().take().unwrap_or_else(|| Parts::from(""));
        Box::pin(async move { Ok::<_, Infallible>(Response::new(body)) })
    });
    let (mut http, mut theirs) = serve(SECOND, service);
    theirs.write_all(GET.as_bytes()).await.unwrap();
    let header = http.answers(&mut theirs, "\r\n\r\n").await;
    assert!(header.starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: "), "{header}");
    (http, theirs, sender, spy)
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_little_room_between_two_parts_and_settles_each() {
    let (mut http, mut theirs, sender, spy) = stream().await;
    let short = "part";
    let long: &'static str = Box::leak("x".repeat(0x2345).into_boxed_str());
    for part in [short, long, short] {
        sender.send(part).await.unwrap();
        let chunk = http.answers(&mut theirs, &format!("{part}\r\n")).await;
        assert_eq!(chunk, format!("{:X}\r\n{part}\r\n", part.len()));
        http.goes_on(3 * SECOND).await;
        assert!(matches!(http.stage, Stage::Answering(_)) && http.rest_timer.is_none());
    }
    assert_eq!(*spy.0.lock().unwrap(), [(4, true), (0x2345, true), (4, true)]);
    assert!(size_of_val(&http) < 1024);
    drop(sender);
    assert_eq!(http.answers(&mut theirs, "0\r\n\r\n").await, "0\r\n\r\n");
    assert!(is_idle(&http.stage));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_not_taken_is_lost_with_its_connection() {
    let (mut http, theirs, sender, spy) = stream().await;
    let long: &'static str = Box::leak("x".repeat(20_000).into_boxed_str());
    sender.send("part").await.unwrap();
    sender.send(long).await.unwrap();
    sender.send("last").await.unwrap();
    http.goes_on(SECOND).await;
    assert_eq!(*spy.0.lock().unwrap(), [], "nothing is flushed");
    drop(theirs);
    assert!((&mut http).await.is_err());
    drop(http);
    let mut lost = spy.0.lock().unwrap().clone();
    lost.sort_unstable();
    assert_eq!(lost, [(4, false), (20_000, false)], "the last part was not asked for");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_client() {
    let (mut http, theirs, sender, _spy) = stream().await;
    http.goes_on(IDLE_TIMEOUT * 3).await;
    drop(theirs);
    let start = Instant::now();
    assert!((&mut http).await.is_err());
    assert_eq!(start.elapsed(), 5 * SECOND);
    drop(http);
    assert!(sender.is_closed());
}
