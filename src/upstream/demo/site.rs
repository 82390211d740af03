//! The embedded server's responses outside Socket.IO's path: a page with two live clients, and the files that it needs.

use std::convert::Infallible;
use std::future::{Ready, ready};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::Service;

use super::controls;

/// Serves the [`FILES`], and nothing else.
#[derive(Clone, Copy)]
pub(super) struct Site {
    /// Whether its page may end the process.
    pub(super) controls: bool,
}

impl Service<Request<Incoming>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path(), request.headers())))
    }
}

impl Site {
    /// Answers a request for one of the files or for a control, and any other with 404.
    pub(super) fn answer(self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        match controls::answer(self.controls, method, path, headers) {
            Some((status, text)) => respond(status, PLAIN, text),
            None => answer(method, path),
        }
    }
}

/// Answers a request for one of the files, and any other with 404.
fn answer(method: &Method, path: &str) -> Response<Full<Bytes>> {
    let Some((_, kind, text)) = FILES.iter().find(|(name, ..)| *name == path) else {
        return respond(StatusCode::NOT_FOUND, PLAIN, "the demo has only one page, at /\n");
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = respond(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "method not allowed\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    let mut response = respond(StatusCode::OK, kind, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Another version of the proxy has other files at the same URLs.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn respond(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Path, media type, text.
const FILES: [(&str, &str, &str); 34] = [
    ("/", "text/html; charset=utf-8", include_str!("page.html")),
    ("/polliwog-demo/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("/polliwog-demo/palette.css", STYLE, include_str!("palette.css")),
    ("/polliwog-demo/page.css", STYLE, include_str!("page.css")),
    ("/polliwog-demo/hero.css", STYLE, include_str!("hero.css")),
    ("/polliwog-demo/wire.css", STYLE, include_str!("wire.css")),
    ("/polliwog-demo/page.js", SCRIPT, include_str!("page.js")),
    ("/polliwog-demo/hero.js", SCRIPT, include_str!("hero.js")),
    ("/polliwog-demo/recent.js", SCRIPT, include_str!("recent.js")),
    ("/polliwog-demo/pane.js", SCRIPT, include_str!("pane.js")),
    ("/polliwog-demo/controls.js", SCRIPT, include_str!("controls.js")),
    ("/polliwog-demo/picks.js", SCRIPT, include_str!("picks.js")),
    ("/polliwog-demo/tries.js", SCRIPT, include_str!("tries.js")),
    ("/polliwog-demo/times.js", SCRIPT, include_str!("times.js")),
    ("/polliwog-demo/numbers.js", SCRIPT, include_str!("numbers.js")),
    ("/polliwog-demo/chart.js", SCRIPT, include_str!("chart.js")),
    ("/polliwog-demo/stage.js", SCRIPT, include_str!("stage.js")),
    ("/polliwog-demo/travel.js", SCRIPT, include_str!("travel.js")),
    ("/polliwog-demo/exchanges.js", SCRIPT, include_str!("exchanges.js")),
    ("/polliwog-demo/room.js", SCRIPT, include_str!("room.js")),
    ("/polliwog-demo/tally.js", SCRIPT, include_str!("tally.js")),
    ("/polliwog-demo/clients.js", SCRIPT, include_str!("clients.js")),
    ("/polliwog-demo/client.js", SCRIPT, include_str!("client.js")),
    ("/polliwog-demo/speech.js", SCRIPT, include_str!("speech.js")),
    ("/polliwog-demo/engine.js", SCRIPT, include_str!("engine.js")),
    ("/polliwog-demo/codec.js", SCRIPT, include_str!("codec.js")),
    ("/polliwog-demo/sockjs.js", SCRIPT, include_str!("sockjs.js")),
    ("/polliwog-demo/longpoll.js", SCRIPT, include_str!("longpoll.js")),
    ("/polliwog-demo/line.js", SCRIPT, include_str!("line.js")),
    ("/polliwog-demo/cursor.js", SCRIPT, include_str!("cursor.js")),
    ("/polliwog-demo/share.css", STYLE, include_str!("share.css")),
    ("/polliwog-demo/share.js", SCRIPT, include_str!("share.js")),
    ("/polliwog-demo/qr.js", SCRIPT, include_str!("qr.js")),
    ("/polliwog-demo/wire.js", SCRIPT, include_str!("wire.js")),
];
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// Nothing from other origins, and nothing inline. Not every browser counts a WebSocket as 'self'.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_and_each_one_that_is_asked_for_is_among_them() {
        for (path, kind, text) in FILES {
            let response = answer(&Method::GET, path);
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            assert!(
                response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'self';")
            );
            let in_page = text.split("\"polliwog-demo/").skip(1);
            let in_script = text.split("from './").skip(1);
            for rest in in_page.chain(in_script) {
                let name = rest.split(['"', '\'']).next().unwrap();
                assert_eq!(
                    answer(&Method::GET, &format!("/polliwog-demo/{name}")).status(),
                    StatusCode::OK,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn nothing_in_the_page_is_inline_or_from_elsewhere() {
        let (_, _, page) = FILES[0];
        for (_, _, text) in FILES {
            for word in [" style=", " onclick=", "innerHTML", "eval(", "@import"] {
                assert!(!text.contains(word), "{word}");
            }
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
        assert!(!page.contains("<style"));
    }

    #[test]
    fn what_is_not_there_is_told_and_other_methods_are_refused() {
        assert_eq!(answer(&Method::GET, "/polliwog-demo/").status(), StatusCode::NOT_FOUND);
        assert_eq!(answer(&Method::POST, "/nowhere").status(), StatusCode::NOT_FOUND);
        let refusal = answer(&Method::POST, "/");
        assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refusal.headers()[ALLOW], "GET, HEAD");
    }
}
