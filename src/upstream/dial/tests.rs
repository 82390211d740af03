//! Which address is dialled, and how failures are remembered.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::PoisonError;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::timeout;

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

/// A Unix socket whose queue is full: the system refuses all further attempts, and has no event for the end of that.
struct FullSocket {
    path: Arc<Path>,
    listener: Socket,
}

impl FullSocket {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polliwog-full-{}-{name}.sock", std::process::id()));
        let _absent = std::fs::remove_file(&path);
        let address = SockAddr::unix(&path).unwrap();
        let new = || Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        let listener = new();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        // A client that has gone keeps its place.
        while new().connect(&address).is_ok() {}
        Self { path: path.into(), listener }
    }

    fn dialer(sockets: &[&Arc<Path>]) -> Arc<Dialer> {
        let settings = Settings {
            urls: vec!["ws://localhost/".parse().unwrap()],
            sockets: sockets.iter().map(|&path| Arc::clone(path)).collect(),
            connect_timeout: CONNECT_TIMEOUT,
            ..Settings::default()
        };
        Dialer::new(&settings, Background::default(), Dials::default()).unwrap()
    }

    /// Takes all who wait.
    fn accept(&self) {
        while self.listener.accept().is_ok() {}
    }
}

impl Drop for FullSocket {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
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
    let name = rename(addresses);
    let settings = Settings {
        urls: vec![format!("ws://{name}/").parse().unwrap()],
        connect_timeout: CONNECT_TIMEOUT,
        resolve_interval: Duration::from_millis(20),
        ..Settings::default()
    };
    let metrics = Metrics::new();
    let dialer = Dialer::with_resolver(&settings, Background::default(), metrics.dials("b"), resolve);
    (dialer.unwrap(), metrics)
}

/// The names of these tests.
static NAMES: Mutex<BTreeMap<String, Vec<SocketAddr>>> = Mutex::new(BTreeMap::new());

/// Gives these addresses a name.
fn rename(addresses: &[SocketAddr]) -> String {
    let mut names = NAMES.lock().unwrap();
    let name = format!("n{}.test", names.len());
    names.insert(name.clone(), addresses.to_vec());
    name
}

#[expect(clippy::needless_pass_by_value, reason = "as the system's resolver takes it")]
fn resolve(host: String, _port: u16) -> server::Resolving {
    let found = NAMES.lock().unwrap().get(&host).filter(|addresses| !addresses.is_empty()).cloned();
    Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
}

/// Returns how many of the clients had to wait for an address that does not answer.
async fn waiting(dialer: &Arc<Dialer>, clients: usize) -> usize {
    let mut waited = 0;
    for _ in 0..clients {
        let start = Instant::now();
        dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.map(|_| ()).unwrap();
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

fn is_down(dialer: &Dialer) -> bool {
    dialer.health() == Health::Down
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|rendered| rendered == line)
}

const ONE_FAILED: &str = r#"polliwog_upstream_addresses{upstream="b",state="out"} 1"#;
const NONE_FAILED: &str = r#"polliwog_upstream_addresses{upstream="b",state="out"} 0"#;

#[tokio::test]
async fn an_address_that_does_not_answer_costs_one_client_its_timeout_and_not_every_second() {
    let (hole, good) = (Hole::dig(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let good_address = good.local_addr().unwrap();
    for (several, how) in
        [(dialer as fn(&[SocketAddr]) -> _, "several URLs"), (named, "several addresses of a name")]
    {
        for addresses in [[hole.address, good_address], [good_address, hole.address]] {
            let (dialer, metrics) = several(&addresses);
            let start = Instant::now();
            // It doesn't even cost one client as much: the next address is tried beside it.
            waiting(&dialer, 12).await;
            assert!(start.elapsed() < CONNECT_TIMEOUT * 10, "more than one client waited: {how}");
            assert!(!is_down(&dialer), "{how}");
            wait_until(|| has(&metrics, ONE_FAILED)).await;
            assert_eq!(waiting(&dialer, 12).await, 0, "{how}");
        }
    }
}

/// Returns an address of IPv4 as one of IPv6, which leads to the same listener.
fn of_ipv6(address: SocketAddr) -> SocketAddr {
    let IpAddr::V4(ip) = address.ip() else { panic!("expected an address of IPv4") };
    SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
}

#[tokio::test(start_paused = true)]
async fn a_dead_ipv6_address_costs_a_quarter_of_a_second_however_many_the_name_has() {
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = good.local_addr().unwrap();
    let holes = [Hole::dig(), Hole::dig()];
    let [one, two] = holes.each_ref().map(|hole| of_ipv6(hole.address));
    // As a resolver sorts them: those of IPv6 before those of IPv4, of which one is tried next all the same.
    for addresses in [&[one, good][..], &[one, two, good], &[one, good, two]] {
        let took = async || {
            let (dialer, _) = named(addresses);
            let start = Instant::now();
            let reached = dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.unwrap();
            assert_eq!(reached.place.endpoint().address, Some(good.into()));
            start.elapsed()
        };
        // A system that is slow to connect even here makes paused time run on.
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(took().await);
        }
        let quarter = Duration::from_millis(250)..Duration::from_millis(255);
        assert!(all.iter().all(|took| *took >= quarter.start), "{addresses:?}: {all:?}");
        assert!(all.iter().any(|took| quarter.contains(took)), "{addresses:?}: {all:?}");
    }
}

/// Returns which of the listeners got the connections, and keeps those.
async fn spread(dialer: &Arc<Dialer>, clients: usize) -> (BTreeMap<SocketAddr, usize>, Vec<Duplex>) {
    let (mut counts, mut streams) = (BTreeMap::new(), Vec::new());
    for _ in 0..clients {
        let reached = dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.unwrap();
        let Some(BackendAddress::Ip(address)) = reached.place.endpoint().address else {
            panic!("no address")
        };
        *counts.entry(address).or_default() += 1;
        streams.push(reached.in_use().0);
    }
    (counts, streams)
}

async fn listeners(count: usize) -> (Vec<TcpListener>, Vec<SocketAddr>) {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    (listeners, addresses)
}

#[tokio::test]
async fn sessions_are_spread_over_all_addresses_behind_a_name() {
    let (_listeners, addresses) = listeners(4).await;
    let (dialer, _) = named(&addresses);
    let (counts, streams) = spread(&dialer, 20).await;
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [5; 4]);
    // Those that end make room where they were: every fourth was at the same address.
    let left = streams.into_iter().enumerate().filter(|(index, _)| index % 4 != 0).collect::<Vec<_>>();
    let (counts, _streams) = spread(&dialer, 5).await;
    assert_eq!(counts, BTreeMap::from([(addresses[0], 5)]), "{}", left.len());
}

#[tokio::test]
async fn an_address_that_its_name_has_lost_drains_and_one_that_is_new_is_used() {
    let (_listeners, addresses) = listeners(2).await;
    let (dialer, metrics) = named(&addresses[..1]);
    let (_, streams) = spread(&dialer, 3).await;
    NAMES.lock().unwrap().insert(dialer.servers[0].to_string().replace(":80", ""), addresses[1..].to_vec());
    wait_until(|| has(&metrics, r#"polliwog_upstream_addresses{upstream="b",state="draining"} 1"#)).await;
    let (counts, _streams) = spread(&dialer, 3).await;
    assert_eq!(counts, BTreeMap::from([(addresses[1], 3)]));
    drop(streams);
    wait_until(|| has(&metrics, r#"polliwog_upstream_addresses{upstream="b",state="draining"} 0"#)).await;
    assert!(has(&metrics, r#"polliwog_upstream_addresses{upstream="b",state="up"} 1"#));
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_again_keeps_its_addresses() {
    let (_listeners, addresses) = listeners(1).await;
    let (dialer, _) = named(&addresses);
    spread(&dialer, 1).await;
    NAMES.lock().unwrap().insert(dialer.servers[0].to_string().replace(":80", ""), Vec::new());
    // More than one turn of the resolver, which finds nothing that this could wait for.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(spread(&dialer, 2).await.0, BTreeMap::from([(addresses[0], 2)]));
}

#[tokio::test]
async fn a_backend_whose_only_address_moved_is_found_again() {
    let (_listeners, addresses) = listeners(1).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (dialer, _) = named(&[gone]);
    let refused = dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.map(|_| ());
    assert!(matches!(refused, Err(OpenError::Down(_))), "{refused:?}");
    assert!(is_down(&dialer));
    NAMES.lock().unwrap().insert(dialer.servers[0].to_string().replace(":80", ""), addresses.clone());
    wait_until(|| !is_down(&dialer)).await;
    assert_eq!(spread(&dialer, 1).await.0, BTreeMap::from([(addresses[0], 1)]));
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
    let refused = dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.map(|_| ());
    assert!(matches!(refused, Err(OpenError::Down(_))), "{refused:?}");
    assert!(is_down(&dialer));
    let _back = TcpListener::bind(gone).await.unwrap();
    assert_eq!(waiting(&dialer, 4).await, 0);
    assert!(!is_down(&dialer));
}

#[tokio::test]
async fn a_deadline_before_every_address_had_its_turn_does_not_make_the_upstream_down() {
    let (hole, other) = (Hole::dig(), Hole::dig());
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = || Deadline::after(CONNECT_TIMEOUT / 4);
    let (dialer, _) = dialer(&[hole.address, good.local_addr().unwrap()]);
    assert!(matches!(dialer.dial(None, None, short()).await.map(|_| ()), Err(OpenError::Slow(_))));
    assert!(!is_down(&dialer));
    assert_eq!(waiting(&dialer, 4).await, 0);
    let (dialer, _) = self::dialer(&[hole.address, other.address]);
    for _ in 0..3 {
        assert!(matches!(dialer.dial(None, None, short()).await.map(|_| ()), Err(OpenError::Slow(_))));
    }
    assert!(is_down(&dialer), "both had their turn");
}

#[tokio::test(start_paused = true)]
async fn a_socket_with_a_full_queue_is_tried_until_it_has_room() {
    let full = FullSocket::new("room");
    let dialer = FullSocket::dialer(&[&full.path]);
    let mut dialled = Box::pin(dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)));
    assert!(timeout(CONNECT_TIMEOUT / 2, &mut dialled).await.is_err());
    full.accept();
    dialled.await.map(|_| ()).unwrap();
    assert_eq!(dialer.health(), Health::Up);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_stays_full_does_not_answer() {
    let full = FullSocket::new("silent");
    let dialer = FullSocket::dialer(&[&full.path]);
    let refused = dialer.dial(None, None, Deadline::after(CONNECT_TIMEOUT * 20)).await.map(|_| ());
    assert!(matches!(refused, Err(OpenError::Slow(_))), "{refused:?}");
    assert!(is_down(&dialer));
    let path: Arc<Path> = full.path.with_extension("good").into();
    let good = tokio::net::UnixListener::bind(&path).unwrap();
    let dialer = FullSocket::dialer(&[&full.path, &path]);
    assert_eq!(waiting(&dialer, 4).await, 0);
    assert!(!is_down(&dialer));
    drop(good);
    std::fs::remove_file(&path).unwrap();
}
