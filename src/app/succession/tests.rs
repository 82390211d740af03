//! What another process of this host asks, while this one ends.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use tokio::time::timeout;

use super::super::peers;
use super::super::wiring::Wiring;
use super::*;
use crate::config::Config;
use crate::peer::{Address, Ask, Content, Frame, Known, Lines, Number};
use crate::service::{Current, Running};

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_given_is_read_though_the_process_ends() {
    let folder = std::env::temp_dir().join(format!("polliwog-door-{}", std::process::id()));
    let process = Asked::start(&folder).await;
    let mut asking = UnixStream::connect(socket(&folder, process.me)).await.unwrap();
    let mut asks = BytesMut::from(Wish::Ask(named("c")).line().as_bytes());
    (1..=MANY).for_each(|number| ask(number).write(&mut asks));
    asking.write_all(&asks).await.unwrap();
    // Time passes once nobody has anything to do: all are answered, and most answers wait for room in the socket.
    sleep(Duration::from_secs(1)).await;
    process.background.stop.cancel();
    process.background.tracker.close();
    let (mut read, mut lines, mut answers) = (BytesMut::new(), Lines::default(), 0);
    while timeout(Duration::from_secs(1), asking.read_buf(&mut read)).await.unwrap().unwrap() > 0 {
        while let Some(frame) = Frame::read(&mut read, &mut lines).unwrap() {
            answers += u32::from(matches!(frame, Frame::Head(..)));
        }
    }
    assert_eq!(answers, MANY);
    timeout(Duration::from_secs(1), process.background.tracker.wait()).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A process that others ask.
struct Asked {
    me: Node,
    background: Background,
    _wiring: Wiring,
}

impl Asked {
    async fn start(folder: &std::path::Path) -> Self {
        let config = Config::parse(CONFIG, "this test", std::iter::empty()).unwrap();
        let (wiring, asked) = (Wiring::alone(), Background::default());
        let own = Folder::enter(folder).await.unwrap().join(named("a").tag).unwrap();
        let me = own.node;
        let secured = peers::secured(&config).unwrap();
        let cluster = peers::cluster(&config, me, &secured, None, None, &wiring.helpers, &wiring.metrics);
        let current = Current::new(Running::default());
        let started = CancellationToken::new();
        let nodes = peers::nodes(&config, cluster, &wiring, current, &asked, &started);
        let door = Door::new(nodes, asked.clone(), Vec::new(), CancellationToken::new(), started);
        asked.clone().spawn_endless("the socket for other processes", door.run(own));
        Self { me, background: asked, _wiring: wiring }
    }
}

fn named(name: &str) -> Node {
    Node::from_random(Tag::of_name(name).unwrap(), [0, 0])
}

/// A request for a path that has no route.
fn ask(number: u32) -> Frame {
    let ask = Ask {
        method: Method::GET,
        target: Bytes::from_static(b"/nowhere"),
        headers: HeaderMap::new().into(),
        client: Address { ip: [0; 16], port: 1 },
        known: Known::default(),
        content: Content::Nothing,
    };
    Frame::Ask(Number(number), Box::new(ask))
}

/// Whose answers are more than a socket takes.
const MANY: u32 = 20_000;
const CONFIG: &str = "
[server]
listen = '127.0.0.1:0'
[admin]
listen = '127.0.0.1:0'
[upstreams.demo]
kind = 'demo'
[[routes]]
path = '/'
dialect = 'engine.io'
upstream = 'demo'
";
