//! What an asker has read in a request: its owner takes it for that, and reads the request itself wherever it cannot.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::backend::Backend;
use super::net::greeting_of;
use super::pair::{Pair, node};
use super::site::Site;
use crate::cluster::Me;
use crate::duplex::Duplex;
use crate::peer::{Address, Ask, Content, Frame, Head, Known, Lines, Number, Read};
use crate::session;

#[tokio::test(start_paused = true)]
async fn what_was_read_is_served_and_everything_else_is_read() {
    let pair = Pair::start(session::Settings::default()).await;
    let (owner, backend) = (&pair.owner, Backend::default());
    let sid = owner.begin(&backend);
    // Read again, it would lead nowhere.
    let target = format!("/nowhere?a=2b---AAAAAAAAAAAAAAAAAAAAAA&b={sid}");
    let read = |route, intent, sid: &str| {
        let at = target.rfind(sid).unwrap();
        Read::new(route, intent, &target, &target[at..at + sid.len()]).unwrap()
    };
    let (route, poll) = (owner.gateway.number(), 4 << 1);
    let usual = Known { read: Some(read(route, poll, &sid)), ..Known::default() };
    for (known, why) in [
        (Known { read: None, ..usual }, "nothing was read"),
        (Known { read: Some(read(route ^ 1, poll, &sid)), ..usual }, "a route that is not here"),
        (Known { read: Some(read(route, u8::MAX, &sid)), ..usual }, "a version that the session has not"),
        (Known { read: Some(read(route, poll, "2b---AA")), ..usual }, "no session of this node"),
        (Known { upgrades: true, ..usual }, "it asks for another protocol"),
        (Known { is_search: true, ..usual }, "it only looks for the session"),
    ] {
        assert_eq!(asked(owner, &target, known).await.0, 404, "{why}");
    }
    backend.say("hi");
    assert_eq!(asked(owner, &target, usual).await, (200, Bytes::from_static(b"4hi")));
    for site in [&pair.owner, &pair.asker] {
        site.kill();
    }
}

/// Asks a node as another one, and returns the status and the body.
async fn asked(site: &Arc<Site>, target: &str, known: Known) -> (u16, Bytes) {
    let (mut ours, theirs) = duplex(1 << 16);
    site.accept(greeting_of(&Me::starting(node("z", 0), "")), Duplex::from(theirs));
    let ask = Ask {
        method: Method::GET,
        target: Bytes::copy_from_slice(target.as_bytes()),
        headers: HeaderMap::new().into(),
        client: Address { ip: [0; 16], port: 1 },
        known,
        content: Content::Nothing,
    };
    let (mut wire, mut lines) = (BytesMut::new(), Lines::default());
    Frame::Ask(Number(7), Box::new(ask)).write(&mut wire);
    ours.write_all_buf(&mut wire).await.unwrap();
    loop {
        ours.read_buf(&mut wire).await.unwrap();
        while let Some(frame) = Frame::read(&mut wire, &mut lines).unwrap() {
            if let Frame::Head(Number(7), head) = frame {
                let Head { status, content, .. } = *head;
                let body = match content {
                    Content::Whole(bytes) | Content::Awaited(bytes) => bytes,
                    Content::Nothing | Content::Pieces(_) => Bytes::new(),
                };
                return (status.as_u16(), body);
            }
        }
    }
}
