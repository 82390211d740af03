//! How an upstream that cannot be reached is detected, probed and taken back.

use std::io;
use std::sync::Mutex;

use super::*;

/// Returns settings that lead to a port where nobody listens, and its address.
async fn nobody() -> (SocketAddr, Settings) {
    let (listener, settings) = listen(Kind::WebSocket).await;
    (listener.local_addr().unwrap(), settings)
}

async fn assert_down(front: &Front) {
    let error = front.open(request()).await.map(|_| ()).unwrap_err();
    let OpenError::Down(cause) = error else { panic!("{error}") };
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    assert!(front.upstream.is_down());
}

#[tokio::test]
async fn an_upstream_is_up_until_somebody_tried_in_vain() {
    let (_, settings) = nobody().await;
    let front = Front::new(&settings);
    assert!(!front.upstream.is_down());
    assert_down(&front).await;
    assert_down(&front).await;
    assert_eq!(front.tracker.len(), 1, "one prober is enough");
}

#[tokio::test]
async fn a_prober_takes_an_upstream_back() {
    let (address, settings) = nobody().await;
    let front = Front::new(&settings);
    assert_down(&front).await;
    let _listener = TcpListener::bind(address).await.unwrap();
    front.tracker.close();
    within(front.tracker.wait()).await;
    assert!(!front.upstream.is_down());
}

#[tokio::test]
async fn a_client_takes_an_upstream_back_as_well() {
    let (address, settings) = nobody().await;
    let front = Front::new(&settings);
    assert_down(&front).await;
    let listener = TcpListener::bind(address).await.unwrap();
    front.open_with(accept(&listener)).await;
    assert!(!front.upstream.is_down());
    // The prober has nothing left to do, and does not wait for its next turn to find out.
    front.tracker.close();
    timeout(Duration::from_millis(500), front.tracker.wait()).await.unwrap();
}

#[tokio::test]
async fn a_prober_ends_with_the_proxy() {
    let (_, settings) = nobody().await;
    let front = Front::new(&settings);
    assert_down(&front).await;
    let Front { upstream, tracker, cancel } = front;
    drop(cancel);
    tracker.close();
    timeout(Duration::from_millis(500), tracker.wait()).await.unwrap();
    assert!(upstream.is_down());
}

#[tokio::test]
async fn going_down_and_coming_back_are_logged_once_each() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(Arc::clone(&writer))).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (address, settings) = nobody().await;
    let front = Front::new(&settings);
    assert_down(&front).await;
    assert_down(&front).await;
    let listener = TcpListener::bind(address).await.unwrap();
    front.open_with(accept(&listener)).await;
    front.open_with(accept(&listener)).await;
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let lines = log.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("WARN") && lines[0].contains(&address.to_string()), "{log}");
    assert!(lines[0].contains("refused"), "{log}");
    assert!(lines[1].contains("INFO"), "{log}");
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
