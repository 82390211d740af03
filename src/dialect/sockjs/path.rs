//! What stands at a path below the base. Paths are compared as they were sent, never decoded.

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// The base itself.
    Greeting,
    /// What a client asks first.
    Info,
    /// The page behind which old browsers hide their requests.
    Iframe,
    /// `xhr` and `xhr_streaming` of a session.
    Receive,
    /// `eventsource`, `htmlfile` and `jsonp`.
    ReceiveByGet,
    /// `xhr_send`.
    Send,
    /// `jsonp_send`.
    SendByForm,
    /// A WebSocket, of a session or raw.
    WebSocket,
}

impl Target {
    /// What stands at the path behind the base; `None` where nothing does.
    pub(super) fn of(path: &str) -> Option<Self> {
        if matches!(path, "" | "/") {
            return Some(Self::Greeting);
        }
        let path = path.strip_prefix('/')?;
        // Every path may end in one slash.
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/');
        match (segments.next()?, segments.next(), segments.next(), segments.next()) {
            ("info", None, ..) => Some(Self::Info),
            ("websocket", None, ..) => Some(Self::WebSocket),
            (page, None, ..) if is_iframe(page) => Some(Self::Iframe),
            (server, Some(session), Some(transport), None) if is_id(server) && is_id(session) => {
                Self::of_session(transport)
            }
            _ => None,
        }
    }

    fn of_session(transport: &str) -> Option<Self> {
        match transport {
            "xhr" | "xhr_streaming" => Some(Self::Receive),
            "eventsource" | "htmlfile" | "jsonp" => Some(Self::ReceiveByGet),
            "xhr_send" => Some(Self::Send),
            "jsonp_send" => Some(Self::SendByForm),
            "websocket" => Some(Self::WebSocket),
            _ => None,
        }
    }

    /// The methods that it has, in the reference's order.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Greeting | Self::Iframe | Self::ReceiveByGet | Self::WebSocket => "GET",
            Self::Info => "OPTIONS, GET",
            Self::Receive | Self::Send => "POST, OPTIONS",
            Self::SendByForm => "POST",
        }
    }
}

fn is_id(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('.')
}

/// `iframe[0-9-.a-z_]*.html`; the dot before `html` is one, other than in the reference's expression.
fn is_iframe(page: &str) -> bool {
    let version = page.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| {
        version.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.' | b'a'..=b'z' | b'_'))
    })
}
