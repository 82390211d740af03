//! Sends spans to a collector, by OTLP over HTTP as JSON (OpenTelemetry Protocol 1.x). What it does not take in time is dropped
//! and counted: spans are not worth a request that waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::auth::{self, NoAnswer, Question};
use crate::background::Background;
use crate::chain::Chain;
use crate::spans::{Attribute, Span, Spans};
use crate::throttle::Throttle;
use crate::upstream::{BuildError, InUse, Settings};

/// A collector, and the queue of what is sent there. What was queued is still sent once it is dropped.
#[derive(Debug)]
pub struct Collector {
    server: Arc<InUse>,
    spans: Spans,
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error("the collector was not reached")]
    NoAnswer(#[from] NoAnswer),
    #[error("the collector answers {0}")]
    Status(StatusCode),
    #[error("the collector did not answer in time")]
    Slow(#[from] tokio::time::error::Elapsed),
}

impl Collector {
    /// Begins to send what is queued to the server that `connect` returns, whose URL is where spans are taken; `dropped` counts
    /// what is not.
    ///
    /// # Errors
    /// That of `connect`.
    pub fn start(
        connect: impl FnOnce(&Background) -> Result<Arc<InUse>, BuildError>,
        background: &Background,
        dropped: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, BuildError> {
        // The last spans are sent when all else has been told to stop.
        let own = Background { stop: CancellationToken::new(), ..background.clone() };
        let server = connect(&own)?;
        let dropped = Arc::new(dropped);
        let counted = Arc::clone(&dropped);
        let (spans, waiting) = Spans::new(move |count| counted(count));
        let sender = Sender { server: Arc::clone(&server), line: Throttle::default(), dropped };
        let stop = background.stop.clone();
        background.tracker.spawn(async move {
            sender.run(waiting, stop).await;
            own.stop.cancel();
        });
        Ok(Arc::new(Self { server, spans }))
    }

    /// Returns whether it sends where these settings say.
    pub fn is_of(&self, settings: &Settings) -> bool {
        self.server.is_made_of(settings)
    }

    /// Returns what takes spans for it.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }
}

struct Sender<D> {
    server: Arc<InUse>,
    line: Throttle,
    dropped: Arc<D>,
}

impl<D: Fn(u64)> Sender<D> {
    /// Sends what is queued, some at once, until nothing more can come.
    async fn run(self, mut waiting: Receiver<Span>, stop: CancellationToken) {
        let mut spans = Vec::new();
        while stop
            .run_until_cancelled(waiting.recv_many(&mut spans, BATCH_MAX))
            .await
            .is_some_and(|len| len > 0)
        {
            // Those of the next moment go with the first.
            let _stopped = stop.run_until_cancelled(sleep(GATHER)).await;
            while spans.len() < BATCH_MAX
                && let Ok(span) = waiting.try_recv()
            {
                spans.push(span);
            }
            self.send(std::mem::take(&mut spans), TIMEOUT).await;
        }
        // The last of a process that ends, which waits for them for a moment only.
        waiting.close();
        while let Ok(span) = waiting.try_recv() {
            spans.push(span);
        }
        if !spans.is_empty() {
            self.send(spans, LAST_TIMEOUT).await;
        }
    }

    async fn send(&self, spans: Vec<Span>, patience: Duration) {
        let body = to_json(&spans).to_string();
        let sent = async {
            let headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
            let question = Question::with_body(Method::POST, headers, Bytes::from(body));
            let status = timeout(patience, auth::answer(&self.server, question)).await??.status;
            if status.is_success() { Ok(()) } else { Err(Untaken::Status(status)) }
        };
        if let Err(error) = sent.await {
            (self.dropped)(spans.len() as u64);
            if let Some(count) = self.line.count() {
                let (collector, error) = (self.server.name(), Chain(&error));
                tracing::warn!(collector, %error, count, "spans were dropped");
            }
        }
    }
}

/// Returns an `ExportTraceServiceRequest`.
fn to_json(spans: &[Span]) -> Value {
    let about = [
        ("service.name", Attribute::Text("polliwog".to_owned())),
        ("service.version", Attribute::Text(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&about) },
        "scopeSpans": [{ "scope": { "name": "polliwog" }, "spans": spans }],
    }] })
}

fn span(span: &Span) -> Value {
    let Span { context, parent, name, began, took, attributes: known, has_failed } = span;
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let mut json = json!({
        "traceId": format!("{:032x}", context.trace),
        "spanId": format!("{:016x}", context.span),
        "name": name,
        "kind": KIND_SERVER,
        "startTimeUnixNano": nanos(*began),
        "endTimeUnixNano": nanos(*began + *took),
        "attributes": attributes(known),
        "status": if *has_failed { json!({ "code": STATUS_ERROR }) } else { json!({}) },
    });
    if let Some(parent) = parent {
        json["parentSpanId"] = format!("{parent:016x}").into();
    }
    json
}

fn attributes(known: &[(&'static str, Attribute)]) -> Value {
    let one = |(name, value): &(&'static str, Attribute)| {
        let value = match value {
            Attribute::Text(text) => json!({ "stringValue": text }),
            // JSON's own numbers would lose digits.
            Attribute::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": name, "value": value })
    };
    known.iter().map(one).collect()
}

const KIND_SERVER: u8 = 2;
const STATUS_ERROR: u8 = 2;
/// The most spans in one request.
const BATCH_MAX: usize = 512;
/// How long the first span of a request waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same at the end of the process.
const LAST_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::budget::Budget;
    use crate::meter::Metrics;
    use crate::spans::QUEUED_MAX;
    use crate::trace_context::TraceContext;
    use crate::upstream::{Host, Kind};

    fn example(span: u64) -> Span {
        Span {
            context: TraceContext { trace: 0xab, span, is_sampled: true },
            parent: Some(7),
            name: "GET /files/".to_owned(),
            began: UNIX_EPOCH + Duration::from_secs(3),
            took: Duration::from_nanos(5),
            attributes: vec![
                ("http.route", Attribute::Text("/files/".to_owned())),
                ("http.response.status_code", Attribute::Number(502)),
            ],
            has_failed: true,
        }
    }

    #[test]
    fn a_span_is_written_as_otlp_has_it() {
        let written = &to_json(&[example(1)])["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(
            *written,
            json!({
                "traceId": "000000000000000000000000000000ab",
                "spanId": "0000000000000001",
                "parentSpanId": "0000000000000007",
                "name": "GET /files/",
                "kind": 2,
                "startTimeUnixNano": "3000000000",
                "endTimeUnixNano": "3000000005",
                "attributes": [
                    { "key": "http.route", "value": { "stringValue": "/files/" } },
                    { "key": "http.response.status_code", "value": { "intValue": "502" } },
                ],
                "status": { "code": 2 },
            })
        );
        let first = Span { parent: None, has_failed: false, ..example(1) };
        let written = &to_json(&[first])["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&written["parentSpanId"], &written["status"]), (&Value::Null, &json!({})));
    }

    /// A collector at this address, and what counts the spans that it does not get.
    pub(in crate::service) fn collector(
        address: std::net::SocketAddr,
    ) -> (Arc<Collector>, Background, Arc<AtomicU64>) {
        let urls = vec![format!("http://{address}/v1/traces").parse().unwrap()];
        let settings = Settings { kind: Kind::Http, host: Host::Upstream, urls, ..Settings::default() };
        let background = Background::default();
        let dials = Metrics::new().dials("otlp");
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let count = move |spans| {
            counted.fetch_add(spans, Ordering::Relaxed);
        };
        let connect = |own: &Background| InUse::start("otlp", &settings, own, dials, &Budget::default());
        (Collector::start(connect, &background, count).unwrap(), background, dropped)
    }

    /// Reads a request, and returns its head and its body.
    pub(in crate::service) async fn request(stream: &mut TcpStream) -> (String, Value) {
        let mut read = Vec::new();
        loop {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0, "it ends");
            let text = String::from_utf8(read.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            if let Ok(body) = serde_json::from_str(body) {
                return (head.to_ascii_lowercase(), body);
            }
        }
    }

    #[tokio::test]
    async fn spans_of_one_moment_go_in_one_request_and_the_last_as_the_process_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (collector, background, dropped) = collector(listener.local_addr().unwrap());
        collector.spans().send(example(1));
        collector.spans().send(example(2));
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = request(&mut stream).await;
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
        assert!(!head.contains("x-forwarded"), "{head}");
        assert_eq!(body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len(), 2);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            .await
            .unwrap();
        drop(stream);
        collector.spans().send(example(3));
        background.stop.cancel();
        let (mut stream, _) = listener.accept().await.unwrap();
        let (_, body) = request(&mut stream).await;
        assert_eq!(body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"], "0000000000000003");
        stream
            .write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        background.tracker.close();
        background.tracker.wait().await;
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "what is refused is not sent again");
    }

    #[tokio::test]
    async fn a_collector_that_says_nothing_costs_spans_and_nothing_else() {
        // It listens and never accepts.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (collector, background, dropped) = collector(listener.local_addr().unwrap());
        for span in 0..QUEUED_MAX + 1_000 {
            collector.spans().send(example(span as u64));
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 1_000);
        background.stop.cancel();
        drop(listener);
        background.tracker.close();
        background.tracker.wait().await;
        assert_eq!(dropped.load(Ordering::Relaxed), QUEUED_MAX as u64 + 1_000);
    }
}
