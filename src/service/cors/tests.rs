//! The rules of CORS, by the vectors of the reference's middleware.

use http::Request;

use super::*;

type Lines = Vec<(String, String)>;

fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers
        .iter()
        .fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

fn own(origins: &[&str], change: impl FnOnce(&mut OwnCors)) -> CorsLayer {
    let mut own =
        OwnCors { origins: origins.iter().map(|&origin| origin.to_owned()).collect(), ..OwnCors::default() };
    change(&mut own);
    CorsLayer::new(&Cors::Own(Arc::new(own)), DefaultRule::Backend, HeaderRules::default())
}

fn response(headers: &[(&'static str, &'static str)]) -> Response {
    let mut response = Response::new(Body::default());
    for (name, value) in headers {
        response.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    response
}

fn lines(response: &Response) -> Lines {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
    };
    let mut lines: Lines = response.headers().iter().map(line).collect();
    lines.sort();
    lines
}

/// Returns the headers of a response to a request with this origin.
fn through(layer: &CorsLayer, origin: Option<&str>, mut response: Response) -> Lines {
    let headers: Vec<(&str, &str)> = origin.map(|origin| ("origin", origin)).into_iter().collect();
    layer.apply(&layer.ask(&request("GET", &headers).headers), &mut response);
    lines(&response)
}

fn from_backend(mark: FromBackend, headers: &[(&'static str, &'static str)]) -> Response {
    let mut response = response(headers);
    response.extensions_mut().insert(mark);
    response
}

#[track_caller]
fn assert_lines(lines: &Lines, expected: &[(&str, &str)]) {
    let lines: Vec<(&str, &str)> =
        lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(lines, expected);
}

const ORIGIN_A: (&str, &str) = ("access-control-allow-origin", "https://a.example");
const STAR: (&str, &str) = ("access-control-allow-origin", "*");
const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
const VARY_ORIGIN: (&str, &str) = ("vary", "Origin");
const A: Option<&str> = Some("https://a.example");
const B: Option<&str> = Some("https://b.example");

#[test]
fn an_origin_of_the_list_is_named_and_another_is_served_without_a_name() {
    let layer = own(&["https://a.example", "https://c.example"], |_| {});
    assert_lines(&through(&layer, A, response(&[])), &[ORIGIN_A, VARY_ORIGIN]);
    assert_lines(&through(&layer, B, response(&[])), &[VARY_ORIGIN]);
    assert_lines(&through(&layer, None, response(&[])), &[VARY_ORIGIN]);
    let longer = Some("https://a.example.evil.test");
    assert_lines(&through(&layer, longer, response(&[])), &[VARY_ORIGIN]);
}

#[test]
fn every_origin_is_a_star_that_varies_with_nothing() {
    let layer = own(&["https://c.example", "*"], |_| {});
    assert_lines(&through(&layer, A, response(&[])), &[STAR]);
    assert_lines(&through(&layer, None, response(&[])), &[STAR]);
}

#[test]
fn every_origin_with_credentials_is_named_since_browsers_refuse_a_star() {
    let layer = own(&["*"], |own| own.credentials = true);
    assert_lines(&through(&layer, A, response(&[])), &[CREDENTIALS, ORIGIN_A, VARY_ORIGIN]);
    assert_lines(&through(&layer, None, response(&[])), &[CREDENTIALS, VARY_ORIGIN]);
}

#[test]
fn credentials_are_allowed_whoever_asks_as_the_reference_does() {
    let layer = own(&["https://a.example"], |own| own.credentials = true);
    assert_lines(&through(&layer, B, response(&[])), &[CREDENTIALS, VARY_ORIGIN]);
}

#[test]
fn a_backends_headers_give_way_to_our_own_and_to_none() {
    let backend = [
        ("access-control-allow-origin", "https://b.example"),
        ("access-control-expose-headers", "x-tea"),
        ("access-control-allow-private-network", "true"),
        ("vary", "Cookie, origin"),
        ("x-tea", "1"),
    ];
    let layer = own(&["https://a.example"], |_| {});
    let expected = [ORIGIN_A, ("vary", "Cookie, Origin"), ("x-tea", "1")];
    assert_lines(&through(&layer, A, response(&backend)), &expected);
    let off = CorsLayer::new(&Cors::Off, DefaultRule::Backend, HeaderRules::default());
    assert_lines(&through(&off, A, response(&backend)), &[("vary", "Cookie"), ("x-tea", "1")]);
    let unrelated = [("vary", "Origin")];
    assert_lines(&through(&off, A, response(&unrelated)), &[("vary", "Origin")]);
}

#[test]
fn vary_names_each_field_once_and_a_star_is_all() {
    let layer = own(&["https://a.example"], |_| {});
    let vary = |before: &'static str| through(&layer, A, response(&[("vary", before)]))[1].1.clone();
    assert_eq!(vary("Accept-Encoding"), "Accept-Encoding, Origin");
    assert_eq!(vary("ORIGIN, Cookie"), "ORIGIN, Cookie");
    assert_eq!(vary("*"), "*");
}

fn ask(layer: &CorsLayer, headers: &[(&str, &str)]) -> (u16, Lines) {
    let head = request("OPTIONS", headers);
    let response = layer.answer_preflight(&head, &layer.ask(&head.headers)).unwrap();
    (response.status().as_u16(), lines(&response))
}

const METHODS: (&str, &str) = ("access-control-allow-methods", "GET,HEAD,PUT,PATCH,POST,DELETE");

#[test]
fn a_preflight_ends_here_and_allows_the_headers_that_it_asks_for() {
    let layer = own(&["https://a.example"], |_| {});
    let asked = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-token, x-other"),
    ];
    let (status, lines) = ask(&layer, &asked);
    assert_eq!(status, 204);
    let allowed = ("access-control-allow-headers", "x-token, x-other");
    let vary = ("vary", "Origin, Access-Control-Request-Headers");
    assert_lines(&lines, &[allowed, METHODS, ORIGIN_A, vary]);

    let (status, lines) = ask(&layer, &[("origin", "https://b.example")]);
    assert_eq!(status, 204);
    assert_lines(&lines, &[METHODS, vary]);
}

#[test]
fn a_preflight_hears_what_the_list_says() {
    let layer = own(&["*"], |own| {
        own.headers = Some(vec!["X-Token".to_owned(), "X-Other".to_owned()]);
        own.methods = vec!["GET".to_owned(), "POST".to_owned()];
        own.max_age = Some(Duration::from_hours(2));
    });
    let asked = [("origin", "https://a.example"), ("access-control-request-headers", "x-evil")];
    let expected = [
        ("access-control-allow-headers", "X-Token,X-Other"),
        ("access-control-allow-methods", "GET,POST"),
        STAR,
        ("access-control-max-age", "7200"),
    ];
    assert_lines(&ask(&layer, &asked).1, &expected);
    let none = own(&["*"], |own| own.headers = Some(Vec::new()));
    assert_lines(&ask(&none, &asked).1, &[METHODS, STAR]);
}

#[test]
fn only_a_list_of_our_own_answers_and_only_a_mirror_passes_on() {
    let full = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let mirror = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    let off = CorsLayer::new(&Cors::Off, DefaultRule::Backend, HeaderRules::default());
    let list = own(&["*"], |_| {});
    let head = request("OPTIONS", &full);
    assert!(mirror.answer_preflight(&head, &Asked::default()).is_none());
    assert!(off.answer_preflight(&head, &Asked::default()).is_none());
    assert!(list.answer_preflight(&request("GET", &full), &Asked::default()).is_none());
    assert!(mirror.mirrors_options(&head));
    assert!(!off.mirrors_options(&head) && !list.mirrors_options(&head));
    assert!(!mirror.mirrors_options(&request("GET", &full)));
    for part in [&full[..1], &full[1..]] {
        let head = request("OPTIONS", part);
        assert!(mirror.mirrors_options(&head) && !is_preflight(&head.headers));
    }
    assert!(is_preflight(&head.headers));
}

#[test]
fn an_error_carries_what_the_backend_last_said_to_that_origin() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    assert_lines(&through(&layer, A, response(&[])), &[]);
    let said = [ORIGIN_A, CREDENTIALS, METHODS, ("vary", "Origin"), ("x-tea", "1")];
    through(&layer, A, from_backend(FromBackend::Accepted, &said));
    assert_lines(&through(&layer, A, response(&[])), &[CREDENTIALS, ORIGIN_A, VARY_ORIGIN]);
    assert_lines(&through(&layer, B, response(&[])), &[]);
    assert_lines(&through(&layer, None, response(&[])), &[]);
    // The reference's refusal of an upgrade has no CORS headers; one over plain HTTP has.
    let refusal = from_backend(FromBackend::Other, &[]);
    assert_lines(&through(&layer, A, refusal), &[CREDENTIALS, ORIGIN_A, VARY_ORIGIN]);
}

#[test]
fn a_backend_that_accepts_in_silence_is_not_spoken_for() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    through(&layer, A, from_backend(FromBackend::Other, &[ORIGIN_A]));
    assert_lines(&through(&layer, A, response(&[])), &[ORIGIN_A]);
    through(&layer, A, from_backend(FromBackend::Accepted, &[("x-tea", "1")]));
    assert_lines(&through(&layer, A, response(&[])), &[]);
}

#[test]
fn an_answer_of_a_session_is_left_as_it_is() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    through(&layer, A, from_backend(FromBackend::Accepted, &[ORIGIN_A, CREDENTIALS]));
    assert_lines(&through(&layer, A, response(&[STAR])), &[STAR]);
    assert_lines(&through(&layer, A, response(&[])), &[CREDENTIALS, ORIGIN_A]);
}

#[test]
fn what_is_too_long_is_not_remembered() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    let long = format!("https://{}.example", "a".repeat(300));
    through(&layer, Some(&long), from_backend(FromBackend::Accepted, &[STAR]));
    assert_lines(&through(&layer, Some(&long), response(&[])), &[]);
    let exposes: &'static str = "x".repeat(2000).leak();
    let said = [ORIGIN_A, ("access-control-expose-headers", exposes)];
    through(&layer, A, from_backend(FromBackend::Accepted, &said));
    assert_lines(&through(&layer, A, response(&[])), &[]);
}

#[test]
fn preflights_on_their_way_are_bounded() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::Backend, HeaderRules::default());
    let places: Vec<_> = std::iter::from_fn(|| layer.admit_preflight()).collect();
    assert_eq!(places.len(), PREFLIGHTS_MAX);
    drop(places);
    assert!(layer.admit_preflight().is_some());
}

#[test]
fn a_session_keeps_the_cors_headers_of_its_acceptance_and_nothing_else() {
    let said = response(&[ORIGIN_A, CREDENTIALS, ("vary", "Origin"), ("vary", "Cookie"), ("x-tea", "1")]);
    let kept = mirrored(said.headers()).unwrap();
    let mut kept: Vec<_> =
        kept.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    kept.sort_unstable();
    assert_eq!(kept, [CREDENTIALS, ORIGIN_A, ("vary", "Origin, Cookie")]);
    assert!(mirrored(response(&[("vary", "Origin")]).headers()).is_none());
}

#[test]
fn a_server_of_version_3_lets_in_whoever_asks_but_says_nothing_on_a_websocket() {
    let layer = CorsLayer::new(&Cors::Mirror, DefaultRule::OldBackend, HeaderRules::default());
    let answer = |origin: Option<&'static str>, status| {
        let mut request = Request::builder();
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let mut response = Response::new(Body::default());
        *response.status_mut() = status;
        layer.apply(&layer.ask(&head.headers), &mut response);
        let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(ACCESS_CONTROL_ALLOW_ORIGIN), text(ACCESS_CONTROL_ALLOW_CREDENTIALS))
    };
    let (page, yes) = (Some("http://a.example".to_owned()), Some("true".to_owned()));
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        assert_eq!(answer(Some("http://a.example"), status), (page.clone(), yes.clone()));
        assert_eq!(answer(None, status), (Some("*".to_owned()), None));
    }
    for status in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::FORBIDDEN] {
        assert_eq!(answer(Some("http://a.example"), status), (None, None));
    }
}
