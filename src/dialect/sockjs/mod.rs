//! SockJS 0.3, with the responses of sockjs-node. Its messages are text, and each session is a WebSocket to the
//! backend.

mod answer;
mod beginning;
#[cfg_attr(not(fuzzing), cfg(test))]
mod checks;
mod cookie;
mod cross_site;
mod elements;
mod frames;
mod framing;
mod info;
mod json;
mod keys;
mod marks;
mod page;
mod path;
mod policies;
mod query;
mod settings;
mod shared;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, StatusCode};

use self::answer::{bad_method, not_found, plain, reply};
use self::cookie::cookie;
use self::cross_site::{Allowance, Page};
use self::framing::{Role, SockJsFraming};
pub(super) use self::keys::KEYS;
use self::marks::Marks;
use self::path::{Receiver, Sender, Target};
use self::policies::Policies;
use self::query::{BadCallback, Callback};
pub use self::settings::Settings;
use self::shared::SharedFramings;
use super::{
    Act, Answered, Ask, Backend, Beginning, Dialect, Framing, Intent, Operation, Place, Refusal, Request,
    RequestKind,
};
use crate::packet::Transport;
use crate::session::Terms;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) use checks::check_text;

/// The dialect `sockjs` of one route.
#[derive(Debug)]
pub struct SockJs {
    settings: Settings,
    backend: Backend,
    shared: SharedFramings,
    policies: Policies,
}

impl SockJs {
    /// The name in the configuration.
    pub const NAME: &'static str = "sockjs";

    /// Creates the dialect of a route with these settings and this backend.
    pub fn new(settings: Settings, backend: Backend) -> Self {
        Self { shared: SharedFramings::new(&settings), policies: Policies::new(&settings), settings, backend }
    }

    fn read_target<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        let Some(target) = Target::of(request.path).filter(|target| self.offers(*target, request)) else {
            return Err(not_found().into());
        };
        let (settings, method) = (&self.settings, request.head.method.as_str());
        if !target.methods().contains(&method) {
            return Err(bad_method(target.methods()).into());
        }
        match target {
            Target::Greeting => return Err(plain(StatusCode::OK, "Welcome to SockJS!\n").into()),
            Target::Info if method == "GET" => return Err(info::answer(settings, request)),
            Target::Info => return Err(cross_site::preflight(settings, request, "OPTIONS, GET").into()),
            Target::Iframe => {
                let page = settings.client_url.as_deref().map(|url| page::answer(url, request));
                return Err(page.unwrap_or_else(not_found).into());
            }
            Target::RawWebSocket | Target::WebSocket | Target::Receive(..) | Target::Send(..) => {}
        }
        if !request.environment.allows_origin(&request.head.headers) {
            let framing = self.framing(request, &Role::WebSocket);
            return Err(framing.refuse(Refusal::Forbidden, request.kind).into());
        }
        match target {
            Target::Receive(..) | Target::Send(..) if method == "OPTIONS" => {
                Err(cross_site::preflight(settings, request, "OPTIONS, POST").into())
            }
            Target::Receive(sid, receiver) => {
                let callback = self.callback(request, receiver)?;
                let framing = self.framing(request, &Role::Receive(receiver, callback));
                Ok(Ask::Session(Cow::Borrowed(sid), intent(Operation::Receive(framing))))
            }
            Target::Send(sid, sender) => {
                let framing = self.framing(request, &Role::Send(sender));
                Ok(Ask::Session(Cow::Borrowed(sid), intent(Operation::Send(framing))))
            }
            Target::WebSocket => {
                check_handshake(request)?;
                let framing = self.framing(request, &Role::WebSocket);
                Ok(Ask::Begin(Box::new(self.begin_web_socket(framing, request))))
            }
            Target::RawWebSocket => {
                check_raw_handshake(request)?;
                Ok(Ask::Begin(Box::new(self.begin_raw(request))))
            }
            Target::Greeting | Target::Info | Target::Iframe => Err(not_found().into()),
        }
    }

    /// Returns whether the route offers a path. If only some origins may connect, transports that do not identify the
    /// page's origin are off.
    fn offers(&self, target: Target<'_>, request: &Request<'_>) -> bool {
        let settings = &self.settings;
        match target {
            Target::Greeting | Target::Info => true,
            Target::Iframe => !request.environment.is_restricted(),
            Target::RawWebSocket | Target::WebSocket => settings.websocket,
            Target::Receive(sid, Receiver::Jsonp) | Target::Send(sid, Sender::Jsonp) => {
                sid.len() <= SID_LEN_MAX && settings.jsonp && !request.environment.is_restricted()
            }
            Target::Receive(sid, Receiver::HtmlFile) => {
                sid.len() <= SID_LEN_MAX && !request.environment.is_restricted()
            }
            Target::Receive(sid, Receiver::Xhr | Receiver::XhrStreaming | Receiver::EventSource)
            | Target::Send(sid, Sender::Xhr) => sid.len() <= SID_LEN_MAX,
        }
    }

    /// Returns the page's function, where the receiver calls one.
    fn callback(&self, request: &Request<'_>, receiver: Receiver) -> Result<Option<Callback>, Box<Answered>> {
        let len_max = match receiver {
            Receiver::Jsonp => JSONP_CALLBACK_MAX,
            Receiver::HtmlFile => HTMLFILE_CALLBACK_MAX,
            Receiver::Xhr | Receiver::XhrStreaming | Receiver::EventSource => return Ok(None),
        };
        match Callback::of(request.head.uri.query().unwrap_or_default(), len_max) {
            Ok(callback) => Ok(Some(callback)),
            Err(why) => {
                let text = match why {
                    BadCallback::Missing => "\"callback\" parameter required",
                    BadCallback::Invalid => "invalid \"callback\" parameter",
                };
                let mut reply = plain(StatusCode::INTERNAL_SERVER_ERROR, text);
                self.framing(request, &Role::Receive(receiver, None)).mark(&mut reply.headers);
                Err(reply.into())
            }
        }
    }

    fn framing(&self, request: &Request<'_>, role: &Role) -> Arc<dyn Framing> {
        let (sent, settings) = (&request.head.headers, &self.settings);
        let has_cookie = settings.cookie_needed && *role != Role::WebSocket;
        let cookie = if has_cookie { cookie(sent) } else { None };
        let Some(shared) = self.shared.of(role) else {
            return Arc::new(SockJsFraming::new(role.clone(), Marks { cookie, ..role.marks() }, settings));
        };
        let page = Page::of(sent);
        let is_event_source = matches!(role, Role::Receive(Receiver::EventSource, _));
        let page = if is_event_source { page.without_null() } else { page };
        shared.find(page, cookie.as_ref(), || {
            let allowance = Some(Allowance::new(page));
            let marks = Marks { allowance, cookie: cookie.clone(), ..role.marks() };
            SockJsFraming::shared(role.clone(), marks, settings)
        })
    }
}

impl Dialect for SockJs {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        self.read_target(request)
    }

    fn judge(&self, intent: Intent, place: &Place<'_>, request: &Request<'_>) -> Result<Act, Box<Answered>> {
        let (framing, receives) = match intent.operation {
            Operation::Receive(framing) => (framing, true),
            Operation::Send(framing) => (framing, false),
            Operation::Nothing(answer) => return Err(answer),
            // It never asks so.
            Operation::Poll
            | Operation::Push
            | Operation::Leave
            | Operation::Upgrade
            | Operation::TurnAway => {
                return Err(not_found().into());
            }
        };
        match place {
            Place::Here(known) if known.transport == Transport::Polling => Ok(match receives {
                true if framing.streams() => Act::Stream(framing, Terms::default()),
                true => Act::Poll(framing, Terms::default()),
                false => Act::Push(framing),
            }),
            Place::Gone(ending) if receives => Ok(Act::ReportEnd(framing, ending.closing.clone())),
            // Its id may be free in a moment: the client of the first request may have hung up.
            Place::Opening | Place::Nowhere if receives => {
                Ok(Act::Begin(Box::new(self.begin_http(framing, request))))
            }
            Place::Here(_) | Place::Opening | Place::Gone(_) | Place::Nowhere => {
                Err(framing.refuse(Refusal::Over, request.kind).into())
            }
        }
    }

    fn refuse_unknown(&self, intent: Intent, kind: RequestKind) -> Box<Answered> {
        match intent.operation {
            Operation::Receive(framing) | Operation::Send(framing) => {
                framing.refuse(Refusal::Over, kind).into()
            }
            Operation::Nothing(answer) => answer,
            // It never asks so.
            Operation::Poll
            | Operation::Push
            | Operation::Leave
            | Operation::Upgrade
            | Operation::TurnAway => not_found().into(),
        }
    }

    /// Handles preflights as well: the reference accepts pages of any origin.
    fn begin(&self, _query: &str) -> Option<Beginning> {
        None
    }

    fn speaks_cors(&self) -> bool {
        true
    }
}

const fn intent(operation: Operation) -> Intent {
    Intent { operation, transport: Transport::Polling, version: 0 }
}

/// Checks a handshake for the reference's own errors, in its order.
fn check_handshake(request: &Request<'_>) -> Result<(), Box<Answered>> {
    if request.kind == RequestKind::Http {
        return Err(reply(StatusCode::BAD_REQUEST, [], "Not a valid websocket request").into());
    }
    let header = |name| request.head.headers.get(name).map(HeaderValue::as_bytes);
    let version = header(SEC_WEBSOCKET_VERSION).unwrap_or_default();
    if version != b"13" {
        let text = format!("Unsupported WebSocket version: {}", String::from_utf8_lossy(version));
        return Err(plain(StatusCode::BAD_REQUEST, &text).into());
    }
    if header(SEC_WEBSOCKET_KEY).is_none() {
        let text = "Missing handshake request header: Sec-WebSocket-Key";
        return Err(plain(StatusCode::BAD_REQUEST, text).into());
    }
    Ok(())
}

/// Returns the same for a WebSocket without frames, which may be of an older draft that is no different.
fn check_raw_handshake(request: &Request<'_>) -> Result<(), Box<Answered>> {
    if request.kind == RequestKind::Http {
        return Err(reply(StatusCode::BAD_REQUEST, [], "Not a valid websocket request").into());
    }
    let version = request.head.headers.get(SEC_WEBSOCKET_VERSION);
    if !version.is_some_and(|version| version == "13" || version == "8") {
        let text = "Only supported WebSocket protocol is RFC 6455.";
        return Err(plain(StatusCode::BAD_REQUEST, text).into());
    }
    Ok(())
}

/// Clients generate ids of eight characters, Spring's of 32.
const SID_LEN_MAX: usize = 128;
/// The reference's limit.
const JSONP_CALLBACK_MAX: usize = 32;
const HTMLFILE_CALLBACK_MAX: usize = 128;
