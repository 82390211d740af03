//! What nodes tell each other of themselves before anything else, as headers of the request that connects them and of its
//! response.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Duration, Instant};

use crate::sid::Node;

/// This node.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its name, and which start of it this is.
    pub node: Node,
    /// When it started.
    started: Instant,
    /// The hash of its routes with sessions.
    routes: Arc<ArcSwap<String>>,
}

/// What another node has told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Its name, and which start of it it is.
    pub node: Node,
    /// Its version of Polliwog.
    pub version: String,
    /// How long ago it started.
    pub age: Duration,
    /// The hash of its routes with sessions.
    pub routes: String,
    /// Whether it takes what the asker [has read](crate::peer::Read) in a request.
    pub takes_read: bool,
}

impl Me {
    /// Creates the node that starts now. `routes` is the hash of its routes with sessions.
    pub fn starting(node: Node, routes: &str) -> Self {
        Self { node, started: Instant::now(), routes: Arc::new(ArcSwap::from_pointee(routes.to_owned())) }
    }

    /// Notes that it has other routes. The nodes that are connected learn of it when they connect again.
    pub fn now_has(&self, routes: String) {
        self.routes.store(Arc::new(routes));
    }

    /// Returns how long ago it started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns whether another node has other routes than this one.
    pub fn differs_from(&self, other: &Greeting) -> bool {
        !other.routes.is_empty() && **self.routes.load() != other.routes
    }

    /// Returns whether the other node of this one's name started before it.
    pub fn is_later_than(&self, other: &Greeting) -> bool {
        (self.age(), self.node.to_string()) < (other.age, other.node.to_string())
    }

    /// Tells it.
    pub fn write(&self, headers: &mut HeaderMap) {
        let told = [
            (NODE, self.node.to_string()),
            (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
            (AGE, self.age().as_millis().to_string()),
            (ROUTES, self.routes.load().to_string()),
            (TAKES, READ.to_owned()),
        ];
        for (name, value) in told {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

impl Greeting {
    /// Reads what another node tells; `None` if that is not even its name. What an older version leaves out is empty.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let short = |name| text(name).filter(|text| text.len() <= LEN_MAX).unwrap_or_default().to_owned();
        Some(Self {
            node: Node::parse(text(NODE)?)?,
            version: short(VERSION),
            age: Duration::from_millis(text(AGE).and_then(|age| age.parse().ok()).unwrap_or_default()),
            routes: short(ROUTES),
            takes_read: text(TAKES) == Some(READ),
        })
    }
}

/// Which node speaks.
const NODE: &str = "polliwog-node";
const VERSION: &str = "polliwog-version";
/// In milliseconds: clocks differ, ages don't.
const AGE: &str = "polliwog-age";
const ROUTES: &str = "polliwog-routes";
/// What it takes besides what the first nodes took.
const TAKES: &str = "polliwog-takes";
const READ: &str = "read";
/// That the node drains, in the answer to `check --cluster`: those that are connected are told by a frame.
pub const LEAVING: HeaderName = HeaderName::from_static("polliwog-leaving");
/// Of a text that is kept.
const LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::Tag;

    #[tokio::test(start_paused = true)]
    async fn a_node_reads_what_another_tells() {
        let node = Node::from_random(Tag::of_name("a").unwrap(), [1; 2]);
        let me = Me::starting(node, "f00d");
        tokio::time::advance(Duration::from_millis(1500)).await;
        let mut headers = HeaderMap::new();
        me.write(&mut headers);
        let told = Greeting::read(&headers).unwrap();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let age = Duration::from_millis(1500);
        assert_eq!(told, Greeting { node, version, age, routes: "f00d".to_owned(), takes_read: true });
        assert!(!me.differs_from(&told) && Me::starting(node, "beef").differs_from(&told));
        // An older version tells its name alone; a longer text is not kept.
        headers.insert(ROUTES, HeaderValue::try_from("x".repeat(65)).unwrap());
        headers.remove(AGE);
        headers.remove(TAKES);
        let told = Greeting::read(&headers).unwrap();
        assert_eq!((told.age, told.routes.as_str(), told.takes_read), (Duration::ZERO, "", false));
        headers.insert(NODE, HeaderValue::from_static("a"));
        assert_eq!(Greeting::read(&headers), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_nodes_with_one_name_exactly_one_is_later() {
        let tag = Tag::of_name("a").unwrap();
        let told = |me: &Me| {
            let mut headers = HeaderMap::new();
            me.write(&mut headers);
            Greeting::read(&headers).unwrap()
        };
        let first = Me::starting(Node::from_random(tag, [1; 2]), "");
        let twin = Me::starting(Node::from_random(tag, [2; 2]), "");
        assert!(first.is_later_than(&told(&twin)) != twin.is_later_than(&told(&first)));
        tokio::time::advance(Duration::from_secs(1)).await;
        let later = Me::starting(Node::from_random(tag, [0; 2]), "");
        assert!(later.is_later_than(&told(&first)) && !first.is_later_than(&told(&later)));
    }
}
