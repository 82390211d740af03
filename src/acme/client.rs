//! The HTTP client of ACME: a connection for each request. An order takes a dozen, every two months.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::duplex::{Asking, Carries};
use crate::tls::Failure;

/// Sends requests to one ACME server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    tls: Arc<ClientConfig>,
    patience: Arc<Mutex<Option<Duration>>>,
}

impl Client {
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls, patience: Arc::default() }
    }

    /// Returns how long the server wants to be left alone, if it refused a request and said so.
    pub(super) fn patience(&self) -> Option<Duration> {
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(self, mut request: Request<BodyWrapper<Bytes>>) -> io::Result<Response<Bytes>> {
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https"));
        let authority = authority.ok_or_else(|| io::Error::other(format!("{uri} is no URL with https")))?;
        let host = authority.host().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let place = authority.as_str();
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await;
        let stream = stream.map_err(|error| io::Error::new(error.kind(), format!("{place}: {error}")))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| Failure::at(place, error))?;
        let host = HeaderValue::try_from(place).map_err(io::Error::other)?;
        request.headers_mut().insert(HOST, host);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = Uri::try_from(path).map_err(io::Error::other)?;
        let stream: Box<dyn Carries> = Box::new(stream);
        let stream = TokioIo::new(Asking::new(stream.into()));
        let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BODY_MAX).collect().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Response::from_parts(head, body.to_bytes()))
        };
        let closed = async {
            // Its failure reaches the request as well; its end may come before the response was read.
            let _ended = connection.await;
            pending::<Infallible>().await
        };
        let response = tokio::select! {
            response = exchange => response?,
            never = closed => match never {},
        };
        if response.status().is_client_error() || response.status().is_server_error() {
            *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = asked(response.headers());
        }
        Ok(response)
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let sent = timeout(REQUEST_TIMEOUT, self.clone().send(request));
        Box::pin(async move {
            let response = sent.await.map_err(io::Error::from).flatten();
            let (parts, body) = response.map_err(|error| Error::Other(error.into()))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// Returns how long a response asks to be left alone (RFC 9110, section 10.2.3).
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let until = || httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok();
    seconds.or_else(until)
}

/// A server that is slower is one that is down.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// More than any chain of certificates takes.
const BODY_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_for_patience_in_seconds_or_until_a_date() {
        let of = |text: &'static str| {
            asked(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(of("120"), Some(Duration::from_mins(2)));
        assert!(of("Fri, 31 Dec 2100 23:59:59 GMT") > Some(Duration::from_hours(24)));
        for other in ["", "soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}
