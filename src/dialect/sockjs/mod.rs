//! SockJS 0.3, as sockjs-node answers it: so far what needs no session. No route can name it yet.

mod answer;
mod cross_site;
mod info;
mod page;
mod path;
mod settings;
#[cfg(test)]
mod tests;

use http::StatusCode;

use self::answer::{bad_method, not_found, plain, reply};
use self::path::Target;
pub use self::settings::Settings;
use super::{Act, Answered, Ask, Beginning, Dialect, Place, Request, Road, Want};
use crate::reply::Reply;

/// The dialect `sockjs` of one route.
#[derive(Debug)]
pub struct SockJs {
    settings: Settings,
}

impl SockJs {
    /// The name in the configuration.
    pub const NAME: &'static str = "sockjs";

    /// The dialect of a route with these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn answer(&self, request: &Request<'_>) -> Reply {
        let Some(target) = Target::of(request.path) else { return not_found() };
        let (settings, method) = (&self.settings, request.head.method.as_str());
        if !target.methods().split(", ").any(|allowed| allowed == method) {
            return bad_method(target.methods());
        }
        match target {
            Target::Greeting => plain("Welcome to SockJS!\n"),
            Target::Info if method == "GET" => info::answer(settings, request),
            Target::Info => cross_site::preflight(settings, request, "OPTIONS, GET"),
            Target::Iframe => {
                settings.client_url.as_deref().map_or_else(not_found, |url| page::answer(url, request))
            }
            Target::Receive | Target::Send if method == "OPTIONS" => {
                cross_site::preflight(settings, request, "OPTIONS, POST")
            }
            Target::WebSocket if request.road == Road::Http => {
                reply(StatusCode::BAD_REQUEST, [], "Not a valid websocket request")
            }
            // There are no sessions yet.
            Target::Receive
            | Target::ReceiveByGet
            | Target::Send
            | Target::SendByForm
            | Target::WebSocket => not_found(),
        }
    }
}

impl Dialect for SockJs {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        Err(self.answer(request).into())
    }

    fn judge(&self, _want: Want, _place: &Place<'_>) -> Result<Act, Box<Answered>> {
        Err(not_found().into())
    }

    /// Preflights are answered here: the reference takes a page of any origin.
    fn begin(&self, _query: &str) -> Option<Beginning> {
        None
    }
}
