//! The framings that requests share: most requests differ in their session alone.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cross_site::{Allowance, Page};
use super::framing::{Role, SockJsFraming};
use super::marks::Marks;
use super::path::{Receiver, Sender};
use super::settings::Settings;

/// The framings of the transports whose responses do not name a function of the page.
#[derive(Debug)]
pub(super) struct SharedFramings {
    xhr: Shared,
    xhr_streaming: Shared,
    event_source: Shared,
    xhr_send: Shared,
}

impl SharedFramings {
    /// Creates the framings of a route with these settings.
    pub(super) fn new(settings: &Settings) -> Self {
        let receiver = |receiver| Shared::new(Role::Receive(receiver, None), settings);
        Self {
            xhr: receiver(Receiver::Xhr),
            xhr_streaming: receiver(Receiver::XhrStreaming),
            event_source: receiver(Receiver::EventSource),
            xhr_send: Shared::new(Role::Send(Sender::Xhr), settings),
        }
    }

    /// Returns those of a role, if requests share any.
    pub(super) const fn of(&self, role: &Role) -> Option<&Shared> {
        match role {
            Role::Receive(Receiver::Xhr, _) => Some(&self.xhr),
            Role::Receive(Receiver::XhrStreaming, _) => Some(&self.xhr_streaming),
            Role::Receive(Receiver::EventSource, _) => Some(&self.event_source),
            Role::Send(Sender::Xhr) => Some(&self.xhr_send),
            Role::Receive(Receiver::HtmlFile | Receiver::Jsonp, _)
            | Role::Send(Sender::Jsonp)
            | Role::WebSocket => None,
        }
    }
}

/// The framings of one transport.
#[derive(Debug)]
pub(super) struct Shared {
    /// For requests without an origin, as from clients that are not browsers.
    plain: Arc<SockJsFraming>,
    /// For the last other request: the pages of most routes have one origin.
    recent: ArcSwap<SockJsFraming>,
}

impl Shared {
    fn new(role: Role, settings: &Settings) -> Self {
        let marks = Marks { allowance: Some(Allowance::default()), ..role.marks() };
        let plain = Arc::new(SockJsFraming::shared(role, marks, settings));
        Self { recent: ArcSwap::new(Arc::clone(&plain)), plain }
    }

    /// Returns the framing for requests like this one, from `make` if the last one was different.
    pub(super) fn find(
        &self,
        page: Page<'_>,
        cookie: Option<&http::HeaderValue>,
        make: impl FnOnce() -> SockJsFraming,
    ) -> Arc<SockJsFraming> {
        if self.plain.marks.are_for(page, cookie) {
            return Arc::clone(&self.plain);
        }
        let recent = self.recent.load();
        if recent.marks.are_for(page, cookie) {
            return Arc::clone(&recent);
        }
        let framing = Arc::new(make());
        self.recent.store(Arc::clone(&framing));
        framing
    }
}
