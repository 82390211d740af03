//! The spans of requests: a handshake has one, what belongs to a session does not.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::Duration;

use super::client::Browser;
use super::net::Net;
use super::pair::{node, roster, settle, target};
use super::site::{Common, Site};
use crate::access_log::AccessLog;
use crate::service::Marks;
use crate::service::collector::tests::{collector, request};
use crate::service::running::{Handler, Running, Served};
use crate::session;

const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_handshake_is_a_span_of_its_clients_trace_and_a_poll_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (collector, background, _dropped) = collector(listener.local_addr().unwrap());
    let common = Common::of("engine.io", "/engine.io/", session::Settings::default());
    let net = Net::default();
    let site = Site::start(&net, &common, node("a", 0), "a:1", |_| roster(&[("a", "a:1")]));
    let gateway = Arc::clone(&site.gateway);
    let served = Served {
        route: Arc::clone(&gateway.route.settings),
        handler: Handler::Gateway { gateway, files: None },
    };
    let marks = Marks { trace: true, ..Marks::default() };
    site.current.replace(Running::new(vec![served], Vec::new(), Duration::ZERO, Vec::new()).seen(
        AccessLog::default(),
        marks,
        Some(collector),
    ));
    let mut browser = Browser::connect(&site, 4096);
    for path in [&*target("a-sid-that-nobody-has"), "/engine.io/?EIO=4&transport=polling"] {
        browser
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\ntraceparent: {CAME}\r\n\r\n").as_bytes())
            .await;
        let answer = browser.answer().await.expect("a response");
        // The backend of these tests is nowhere.
        assert_eq!(answer.status, if path.contains("sid=") { 400 } else { 502 });
    }
    let (mut stream, _) = listener.accept().await.unwrap();
    let (_, body) = request(&mut stream).await;
    let text = body.to_string();
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 1, "{text}");
    let span = &spans[0];
    assert_eq!((&span["name"], &span["traceId"]), (&"handshake /engine.io/".into(), &CAME[3..35].into()));
    assert_eq!(span["parentSpanId"], CAME[36..52]);
    assert_eq!(span["status"]["code"], 2);
    assert!(text.contains(r#"{"key":"http.response.status_code","value":{"intValue":"502"}}"#), "{text}");
    assert!(!text.contains("transport=polling"), "a query is in no span: {text}");
    background.stop.cancel();
    site.kill();
    settle().await;
}
