//! The heads of requests, as long as a browser writes them.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, ORIGIN, PRAGMA,
    REFERER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::packet::Transport;
use crate::revision::Revision;

/// The target of requests, and their headers.
#[derive(Clone, Debug)]
pub(in crate::load) struct Head {
    path: String,
    query: String,
    authority: Authority,
    common: HeaderMap,
    own: HeaderMap,
}

/// The query of an Engine.IO request.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct Query<'a> {
    /// The protocol's version.
    pub(in crate::load) revision: Revision,
    pub(in crate::load) transport: Transport,
    pub(in crate::load) sid: Option<&'a str>,
    /// Makes each URL unique, so that no cache responds to it.
    pub(in crate::load) stamp: u64,
}

impl Head {
    /// Creates the head of requests. The user's headers in `own` replace a browser's.
    ///
    /// Returns `None` if the URL's host is not a valid header value.
    pub(in crate::load) fn new(url: &Uri, path: &str, secure: bool, own: HeaderMap) -> Option<Self> {
        let host = url.host()?;
        // Not the URL's own authority: if its port is empty, a browser leaves out the colon.
        let authority = url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let origin = format!("{}://{authority}", if secure { "https" } else { "http" });
        let mut common = HeaderMap::new();
        common.insert(HOST, authority.as_str().try_into().ok()?);
        common.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        common.insert(REFERER, HeaderValue::try_from(format!("{origin}/")).ok()?);
        common.insert(ORIGIN, origin.try_into().ok()?);
        for (name, value) in BROWSER {
            common.insert(name.clone(), HeaderValue::from_static(value));
        }
        let authority = authority.parse().ok()?;
        let query = url.query().unwrap_or_default().to_owned();
        Some(Self { path: path.to_owned(), query, authority, common, own })
    }

    /// Returns a poll.
    pub(in crate::load) fn get(&self, query: Query<'_>) -> Request<Full<Bytes>> {
        self.request(Method::GET, self.uri(Some(query)), Bytes::new())
    }

    /// Returns a POST of a payload of text.
    pub(in crate::load) fn post(&self, query: Query<'_>, body: Bytes) -> Request<Full<Bytes>> {
        self.request(Method::POST, self.uri(Some(query)), body)
    }

    /// Returns a request for a path below the URL's (`tail` begins with a slash), with a query after the user's own.
    pub(in crate::load) fn request_at(
        &self,
        method: Method,
        tail: &str,
        query: &str,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let path = format!("{}{tail}", self.path.trim_end_matches('/'));
        let both = [&*self.query, query].into_iter().filter(|query| !query.is_empty());
        let query = both.collect::<Vec<_>>().join("&");
        self.request(method, as_uri(path, &query), body)
    }

    /// Returns the handshake of a WebSocket below the URL's path.
    pub(in crate::load) fn web_socket_at(&self, tail: &str) -> Request<()> {
        self.upgrade(self.request_at(Method::GET, tail, "", Bytes::new()))
    }

    /// Returns the handshake of a WebSocket; a plain one if there is no query.
    pub(in crate::load) fn web_socket(&self, query: Option<Query<'_>>) -> Request<()> {
        self.upgrade(self.request(Method::GET, self.uri(query), Bytes::new()))
    }

    fn upgrade(&self, request: Request<Full<Bytes>>) -> Request<()> {
        let (mut parts, _) = request.into_parts();
        let headers = &mut parts.headers;
        // Browsers offer compression, too; it is left out here because nothing here could read it.
        for name in [ACCEPT, REFERER] {
            headers.remove(name);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(key) = HeaderValue::try_from(generate_key()) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        // The library requires a complete URL, but writes only its path.
        let mut whole = parts.uri.into_parts();
        (whole.scheme, whole.authority) = ("ws".parse().ok(), Some(self.authority.clone()));
        parts.uri = Uri::from_parts(whole).unwrap_or_default();
        Request::from_parts(parts, ())
    }

    fn request(&self, method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let is_post = method == Method::POST;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.common.clone();
        if is_post {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
        }
        request.headers_mut().extend(self.own.clone());
        request
    }

    fn uri(&self, query: Option<Query<'_>>) -> Uri {
        let mut parts: Vec<String> = Vec::new();
        if !self.query.is_empty() {
            parts.push(self.query.clone());
        }
        if let Some(Query { revision, transport, sid, stamp }) = query {
            let number = match revision {
                Revision::V3 => 3,
                Revision::V4 => 4,
            };
            parts.push(format!("EIO={number}&transport={}", transport.word()));
            if transport == Transport::Polling {
                parts.push(format!("t={stamp:08x}"));
            }
            parts.extend(sid.map(|sid| format!("sid={sid}")));
        }
        as_uri(self.path.clone(), &parts.join("&"))
    }
}

fn as_uri(mut path: String, query: &str) -> Uri {
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    // The path was taken from a URL, and the server itself rejects a sid with invalid characters.
    Uri::try_from(path).unwrap_or_else(|_| Uri::from_static("/"))
}

/// What a desktop browser sends with a script's request to its own site.
const BROWSER: [(HeaderName, &str); 10] = [
    (
        USER_AGENT,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (ACCEPT, "*/*"),
    (ACCEPT_ENCODING, "gzip, deflate"),
    (ACCEPT_LANGUAGE, "en-US,en;q=0.9"),
    (
        HeaderName::from_static("sec-ch-ua"),
        r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#,
    ),
    (HeaderName::from_static("sec-ch-ua-mobile"), "?0"),
    (HeaderName::from_static("sec-ch-ua-platform"), r#""Linux""#),
    (HeaderName::from_static("sec-fetch-dest"), "empty"),
    (HeaderName::from_static("sec-fetch-mode"), "cors"),
    (HeaderName::from_static("sec-fetch-site"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn head(url: &str) -> Head {
        let url: Uri = url.parse().unwrap();
        Head::new(&url, url.path(), false, HeaderMap::new()).unwrap()
    }

    const QUERY: Query<'_> =
        Query { revision: Revision::V4, transport: Transport::Polling, sid: Some("abc"), stamp: 255 };

    #[test]
    fn a_poll_is_asked_for_as_a_browser_asks() {
        let request = head("http://h:81/engine.io/?room=1").get(QUERY);
        assert_eq!(request.uri(), "/engine.io/?room=1&EIO=4&transport=polling&t=000000ff&sid=abc");
        assert_eq!(request.headers()[HOST], "h:81");
        assert_eq!(request.headers()[ORIGIN], "http://h:81");
        let len: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        assert!((450..800).contains(&len), "{len} bytes of headers");
    }

    #[test]
    fn a_header_of_the_users_stands_in_the_place_of_a_browsers() {
        let url: Uri = "http://h/".parse().unwrap();
        let own = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("mine"))]);
        let request = Head::new(&url, "/", false, own).unwrap().post(QUERY, Bytes::new());
        assert_eq!(request.headers().get_all(USER_AGENT).iter().collect::<Vec<_>>(), ["mine"]);
        assert_eq!(request.headers()[CONTENT_TYPE], "text/plain;charset=UTF-8");
    }

    #[test]
    fn a_plain_web_socket_has_no_query_of_its_own() {
        let request = head("ws://h/feed").web_socket(None);
        assert_eq!(request.uri(), "ws://h/feed");
        assert_eq!(request.headers()[UPGRADE], "websocket");
        assert_eq!(request.headers()[CONNECTION], "Upgrade");
    }
}
