//! A session of Socket.IO by polling, whatever its requests travel on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use tokio::time::{sleep, timeout};

/// What carries requests to a proxy.
pub(crate) trait Ask: Send + Sync + 'static {
    /// Returns the body of a response. Fails if it is not a 200.
    fn ask(&self, method: Method, target: &str, body: String) -> impl Future<Output = String> + Send;
}

/// One session.
pub(crate) struct Session<A> {
    page: Arc<A>,
    target: String,
}

impl<A: Ask> Session<A> {
    /// Creates it; it begins when it runs.
    pub(crate) fn at(page: Arc<A>) -> Self {
        Self { page, target: String::new() }
    }

    /// Runs it until it is told to stop. Returns how many messages came back.
    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) -> u64 {
        let open = self.page.ask(Method::GET, POLLING, String::new()).await;
        let id = open.split('"').nth(3).expect("an open packet");
        self.target = format!("{POLLING}&sid={id}");
        self.post("40").await;
        while !self.poll().await.iter().any(|packet| packet.starts_with("40")) {}
        let (this, mut sent, mut received) = (&self, 0, 0);
        let sending = async {
            while !stop.load(Ordering::Relaxed) {
                this.post(&format!("42[\"echo\",{sent}]")).await;
                sent += 1;
                // The pace of the load.
                sleep(Duration::from_millis(200)).await;
            }
            this.post(LAST).await;
        };
        let receiving = async {
            loop {
                for packet in this.poll().await {
                    if packet == LAST {
                        return;
                    } else if packet == "2" {
                        this.post("3").await;
                    } else if packet != "6" {
                        assert_eq!(packet, format!("42[\"echo\",{received}]"));
                        received += 1;
                    }
                }
            }
        };
        tokio::join!(sending, receiving);
        assert_eq!(received, sent);
        self.post("1").await;
        received
    }

    async fn post(&self, packet: &str) {
        assert_eq!(self.page.ask(Method::POST, &self.target, packet.to_owned()).await, "ok");
    }

    async fn poll(&self) -> Vec<String> {
        let poll = self.page.ask(Method::GET, &self.target, String::new());
        let packets = timeout(PATIENCE, poll).await.expect("a poll is answered in time");
        packets.split('\u{1e}').map(str::to_owned).collect()
    }
}

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const LAST: &str = "42[\"echo\",\"last\"]";
/// Longer than the interval of pings.
const PATIENCE: Duration = Duration::from_mins(1);
