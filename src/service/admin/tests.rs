//! What the admin listener responds to operators and to others.

use std::collections::BTreeSet;
use std::future::ready;

use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::bridge::Registry;
use crate::tls::{ClientAuth, TlsFiles};
use crate::upstream::Health;

#[tokio::test]
async fn a_process_that_answers_is_alive() {
    assert_eq!(ask(&admin(), Method::GET, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));
}

#[tokio::test]
async fn draining_makes_it_unready_yet_alive() {
    let mut admin = admin();
    admin.readiness = Arc::new(|| Box::pin(ready(State { draining: true, ..State::default() })));
    assert_eq!(ask(&admin, Method::GET, "/livez").await.0, StatusCode::OK);
    let answer = ask(&admin, Method::GET, "/readyz").await;
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()));
}

#[tokio::test]
async fn readyz_may_be_asked_for_one_upstream() {
    for (query, status) in [("?upstream=a", 200), ("?x=y&upstream=b&z", 503), ("?upstream=c", 404)] {
        let answer = ask(&admin(), Method::GET, &format!("/readyz{query}")).await;
        assert_eq!(answer.0, status, "{query}");
        assert!(answer.1.ends_with("upstream a is up\nupstream b is down\n"), "{}", answer.1);
    }
    for other in ["", "?", "?verbose", "?upstreams=c", "?upstream"] {
        assert_eq!(ask(&admin(), Method::GET, &format!("/readyz{other}")).await.0, StatusCode::OK, "{other}");
    }
}

#[tokio::test]
async fn metrics_come_in_the_format_they_say() {
    let response = admin().oneshot(request(Method::GET, "/metrics")).await.unwrap();
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.ends_with(b"# EOF\n"));
}

#[tokio::test]
async fn a_browser_is_shown_metrics_as_text() {
    let mut asked = request(Method::GET, "/metrics");
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    asked.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    let response = admin().oneshot(asked).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_browser_gets_a_page_that_loads_nothing_from_elsewhere() {
    let mut asked = request(Method::GET, "/");
    asked.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
    let page = admin().oneshot(asked).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"));
    let html = page.into_body().collect().await.unwrap().to_bytes();
    let html = String::from_utf8(html.into()).unwrap();
    for what in [" src=\"", " href=\""] {
        for named in html.split(what).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert_eq!(ask(&admin(), Method::GET, &format!("/{named}")).await.0, StatusCode::OK, "{named}");
        }
    }
}

#[tokio::test]
async fn with_a_token_only_the_health_is_told_without_it() {
    let mut admin = admin();
    let token = Some(HeaderValue::from_static("Bearer a-long-secret"));
    admin.in_force = Arc::new(move || AdminSettings { token: token.clone(), ..AdminSettings::default() });
    for (path, status) in
        [("/livez", 200), ("/readyz", 200), ("/nowhere", 404), ("/", 401), ("/metrics", 401)]
    {
        assert_eq!(ask(&admin, Method::GET, path).await.0, status, "{path}");
    }
    let mut asked = request(Method::GET, "/metrics");
    let refused = admin.clone().oneshot(request(Method::GET, "/metrics")).await.unwrap();
    assert!(refused.headers()[WWW_AUTHENTICATE].as_bytes().starts_with(b"Basic realm="));
    asked.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer a-long-secret"));
    assert_eq!(admin.oneshot(asked).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_lets_an_operator_in_as_a_token_does() {
    let files = TlsFiles {
        certificates: Vec::new(),
        acme: None,
        client_ca: Some("operators.pem".into()),
        client_auth: ClientAuth::Optional,
    };
    for (token, refusal) in [(None, 403), (Some(HeaderValue::from_static("Bearer a-long-secret")), 401)] {
        let settings = AdminSettings { tls: Some(files.clone()), token, ..AdminSettings::default() };
        for has_certificate in [false, true] {
            let settings = settings.clone();
            let admin = Admin { has_certificate, in_force: Arc::new(move || settings.clone()), ..admin() };
            assert_eq!(ask(&admin, Method::GET, "/livez").await.0, 200);
            let status = if has_certificate { 200 } else { refusal };
            assert_eq!(ask(&admin, Method::GET, "/metrics").await.0, status);
        }
    }
    // One that was verified for something else is none.
    let admin = Admin {
        has_certificate: true,
        in_force: Arc::new(|| {
            let token = Some(HeaderValue::from_static("Bearer a-long-secret"));
            AdminSettings { token, ..AdminSettings::default() }
        }),
        ..admin()
    };
    assert_eq!(ask(&admin, Method::GET, "/metrics").await.0, 401);
}

#[tokio::test]
async fn the_description_for_programs_names_each_path_with_its_methods() {
    let (status, text) = ask(&admin(), Method::GET, "/api/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let described: serde_json::Value = serde_json::from_str(&text).unwrap();
    let described: BTreeSet<(String, String)> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(|method| (path.clone(), method.to_ascii_uppercase()))
        })
        .collect();
    assert_eq!(described, Endpoint::documented());
}

#[tokio::test]
async fn the_index_names_what_is_there() {
    let (status, text) = ask(&admin(), Method::GET, "/").await;
    assert_eq!(status, StatusCode::OK);
    for path in ["/livez", "/readyz", "/metrics", "/api/upstreams", "/api/nodes"] {
        assert!(text.contains(path), "{text}");
    }
}

#[tokio::test]
async fn a_path_is_matched_whole_and_without_its_query() {
    assert_eq!(ask(&admin(), Method::GET, "/livez?verbose=1").await.0, StatusCode::OK);
    for path in ["/livez/", "/metrics/x", "/favicon.ico", "//"] {
        assert_eq!(ask(&admin(), Method::GET, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask(&admin(), Method::POST, "/nowhere").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let response = admin().oneshot(request(method, "/readyz")).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
    assert_eq!(ask(&admin(), Method::HEAD, "/readyz").await.0, StatusCode::OK);
}

fn admin() -> Admin {
    let upstream = |name: &str, health| UpstreamState { name: name.to_owned(), required: false, health };
    let upstreams = vec![upstream("a", Health::Up), upstream("b", Health::Down)];
    let state = State { upstreams, ..State::default() };
    let control = Control {
        reload: Arc::new(|| Box::pin(ready(Ok(())))),
        differing: Arc::new(|_| serde_json::Value::Null),
        drain: CancellationToken::new(),
        stop: CancellationToken::new(),
    };
    let sessions = Sessions(Registry::new(1));
    Admin {
        metrics: Metrics::new(),
        readiness: Arc::new(move || Box::pin(ready(state.clone()))),
        upstreams: Arc::new(Vec::new),
        sights: Arc::new(Seen::default),
        sessions,
        dialects: Arc::new(Vec::new),
        control,
        in_force: Arc::new(AdminSettings::default),
        has_certificate: false,
    }
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(path).body(()).unwrap()
}

async fn ask(admin: &Admin, method: Method, path: &str) -> (StatusCode, String) {
    let response = admin.clone().oneshot(request(method, path)).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}
