//! Which address is dialled, and how failures are remembered.

use std::sync::PoisonError;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::*;
use crate::meter::Metrics;

fn build(urls: &[&str]) -> Result<Arc<Dialer>, BuildError> {
    let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
    let settings = Settings { urls, ..Settings::default() };
    Dialer::new(&settings, Background::default(), Dials::default())
}

#[test]
fn only_a_url_that_can_be_dialled_is_taken() {
    for url in ["ftp://h/", "h", "/path"] {
        assert!(matches!(build(&[url]), Err(BuildError::Url(_))), "{url}");
    }
    assert!(matches!(build(&[]), Err(BuildError::NoUrl)));
}

#[test]
fn an_upstream_is_shown_by_its_hosts_alone() {
    let dialer = build(&["ws://user:secret@one/path?token=1", "ws://[::1]:3000"]).unwrap();
    assert_eq!(dialer.to_string(), "one:80,::1:3000");
    assert_eq!(build(&["WSS://one", "wss://two:80/"]).unwrap().to_string(), "one:443,two:80");
}

/// An address that never answers: its queue is full, so that the system drops all further attempts.
struct Hole {
    address: SocketAddr,
    _listener: Socket,
    _queue: Vec<Result<std::net::TcpStream, io::Error>>,
}

impl Hole {
    fn dig() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let fill = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
        Self { address, _queue: (0..3).map(fill).collect(), _listener: listener }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_millis(800);

/// Returns a dialer for these URLs, and its metrics.
fn dialer(addresses: &[SocketAddr]) -> (Arc<Dialer>, Metrics) {
    let urls = addresses.iter().map(|address| format!("ws://{address}/").parse().unwrap()).collect();
    let settings = Settings { urls, connect_timeout: CONNECT_TIMEOUT, ..Settings::default() };
    let metrics = Metrics::new();
    (Dialer::new(&settings, Background::default(), metrics.dials("b")).unwrap(), metrics)
}

/// Returns a dialer for one URL whose host has these addresses.
fn named(addresses: &[SocketAddr]) -> (Arc<Dialer>, Metrics) {
    let (mut dialer, metrics) = dialer(&addresses[..1]);
    Arc::get_mut(&mut dialer).unwrap().servers[0].known = addresses.to_vec();
    (dialer, metrics)
}

/// Returns how many of the clients had to wait for an address that does not answer.
async fn waiting(dialer: &Arc<Dialer>, clients: usize) -> usize {
    let mut waited = 0;
    for _ in 0..clients {
        let start = Instant::now();
        dialer.dial(Deadline::after(CONNECT_TIMEOUT * 20)).await.map(drop).unwrap();
        waited += usize::from(start.elapsed() >= CONNECT_TIMEOUT);
    }
    waited
}

async fn wait_until(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "it never happens");
        // The pace of the looks.
        sleep(Duration::from_millis(20)).await;
    }
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|rendered| rendered == line)
}

const ONE_FAILED: &str = r#"polliwog_upstream_addresses_failed{upstream="b"} 1"#;
const NONE_FAILED: &str = r#"polliwog_upstream_addresses_failed{upstream="b"} 0"#;

#[tokio::test]
async fn an_address_that_does_not_answer_costs_one_client_its_timeout_and_not_every_second() {
    let (hole, good) = (Hole::dig(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let good_address = good.local_addr().unwrap();
    for (several, how) in
        [(dialer as fn(&[SocketAddr]) -> _, "several URLs"), (named, "several addresses of a name")]
    {
        for addresses in [[hole.address, good_address], [good_address, hole.address]] {
            let (dialer, metrics) = several(&addresses);
            let waited = waiting(&dialer, 12).await;
            assert!(waited <= 1, "{waited} of 12 clients waited: {how}");
            assert!(!dialer.is_down(), "{how}");
            let shown = if waited == 1 { ONE_FAILED } else { NONE_FAILED };
            assert!(has(&metrics, shown), "{how}: {}", metrics.render());
        }
    }
}

#[tokio::test]
async fn an_address_that_can_be_reached_again_is_taken_back_in_the_background() {
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (dialer, metrics) = dialer(&[gone, good.local_addr().unwrap()]);
    assert_eq!(waiting(&dialer, 4).await, 0);
    assert!(has(&metrics, ONE_FAILED));
    assert!(
        has(&metrics, r#"polliwog_upstream_dial_failures_total{upstream="b"} 1"#),
        "{}",
        metrics.render()
    );
    let back = TcpListener::bind(gone).await.unwrap();
    wait_until(|| has(&metrics, NONE_FAILED)).await;
    assert!(dialer.watch.lock().unwrap_or_else(PoisonError::into_inner).prober.is_none());
    let (probed, _) = back.accept().await.unwrap();
    drop(probed);
    assert_eq!(waiting(&dialer, 2).await, 0);
    timeout(Duration::from_secs(10), back.accept()).await.expect("it has its turn again").unwrap();
}

#[tokio::test]
async fn the_one_that_refuses_is_tried_before_the_one_that_does_not_answer() {
    let hole = Hole::dig();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (dialer, _) = dialer(&[hole.address, gone]);
    let refused = dialer.dial(Deadline::after(CONNECT_TIMEOUT * 20)).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Down(_))), "{refused:?}");
    assert!(dialer.is_down());
    let _back = TcpListener::bind(gone).await.unwrap();
    assert_eq!(waiting(&dialer, 4).await, 0);
    assert!(!dialer.is_down());
}

#[tokio::test]
async fn a_deadline_before_every_address_had_its_turn_does_not_make_the_upstream_down() {
    let (hole, other) = (Hole::dig(), Hole::dig());
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = || Deadline::after(CONNECT_TIMEOUT / 4);
    let (dialer, _) = dialer(&[hole.address, good.local_addr().unwrap()]);
    assert!(matches!(dialer.dial(short()).await.map(drop), Err(OpenError::Slow(_))));
    assert!(!dialer.is_down());
    assert_eq!(waiting(&dialer, 4).await, 0);
    let (dialer, _) = self::dialer(&[hole.address, other.address]);
    for _ in 0..3 {
        assert!(matches!(dialer.dial(short()).await.map(drop), Err(OpenError::Slow(_))));
    }
    assert!(dialer.is_down(), "both had their turn");
}
