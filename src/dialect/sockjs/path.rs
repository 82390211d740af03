//! What a path below the base names. Paths are compared as sent, never decoded.

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target<'p> {
    /// The base itself.
    Greeting,
    /// The first request of a client.
    Info,
    /// The iframe page through which old browsers send their requests.
    Iframe,
    /// A WebSocket without frames of SockJS.
    RawWebSocket,
    /// A session's WebSocket, which is the whole session: its id means nothing.
    WebSocket,
    /// A receiver of the session with this id.
    Receive(&'p str, Receiver),
    /// Messages for the session with this id.
    Send(&'p str, Sender),
}

/// What a client receives on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receiver {
    /// A poll.
    Xhr,
    /// A stream.
    XhrStreaming,
    /// A stream in the framing of the browser's own `EventSource`.
    EventSource,
    /// A page that never ends.
    HtmlFile,
    /// A script, in answer to a script tag.
    Jsonp,
}

/// What a client sends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    /// A body of JSON.
    Xhr,
    /// A form.
    Jsonp,
}

impl<'p> Target<'p> {
    /// Returns what the path below the base names, if anything.
    pub(super) fn of(path: &'p str) -> Option<Self> {
        if matches!(path, "" | "/") {
            return Some(Self::Greeting);
        }
        let path = path.strip_prefix('/')?;
        // Every path may have one trailing slash.
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some((server, rest)) = split(path) else {
            return match path {
                "info" => Some(Self::Info),
                "websocket" => Some(Self::RawWebSocket),
                page if is_iframe(page) => Some(Self::Iframe),
                _ => None,
            };
        };
        let (session, transport) = split(rest)?;
        let is_session = is_segment(server) && is_segment(session);
        if is_session { Self::of_session(session, transport) } else { None }
    }

    fn of_session(sid: &'p str, transport: &str) -> Option<Self> {
        Some(match transport {
            "xhr" => Self::Receive(sid, Receiver::Xhr),
            "xhr_streaming" => Self::Receive(sid, Receiver::XhrStreaming),
            "eventsource" => Self::Receive(sid, Receiver::EventSource),
            "htmlfile" => Self::Receive(sid, Receiver::HtmlFile),
            "jsonp" => Self::Receive(sid, Receiver::Jsonp),
            "xhr_send" => Self::Send(sid, Sender::Xhr),
            "jsonp_send" => Self::Send(sid, Sender::Jsonp),
            "websocket" => Self::WebSocket,
            _ => return None,
        })
    }

    /// Returns the allowed methods, in the reference's order.
    pub(super) const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Info => &["OPTIONS", "GET"],
            Self::Receive(_, Receiver::Xhr | Receiver::XhrStreaming) | Self::Send(_, Sender::Xhr) => {
                &["POST", "OPTIONS"]
            }
            Self::Greeting
            | Self::Iframe
            | Self::RawWebSocket
            | Self::WebSocket
            | Self::Receive(_, Receiver::EventSource | Receiver::HtmlFile | Receiver::Jsonp) => &["GET"],
            Self::Send(_, Sender::Jsonp) => &["POST"],
        }
    }
}

impl Receiver {
    /// Returns whether it receives one frame after another.
    pub(super) const fn streams(self) -> bool {
        match self {
            Self::XhrStreaming | Self::EventSource | Self::HtmlFile => true,
            Self::Xhr | Self::Jsonp => false,
        }
    }
}

/// Splits a path at its first slash. Segments are short: a search in larger steps would take longer.
fn split(path: &str) -> Option<(&str, &str)> {
    let at = path.bytes().position(|byte| byte == b'/')?;
    Some((&path[..at], &path[at + 1..]))
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte != b'.')
}

/// `iframe[0-9-.a-z_]*.html`; the dot before `html` is one, other than in the reference's expression.
fn is_iframe(page: &str) -> bool {
    let version = page.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| {
        version.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.' | b'a'..=b'z' | b'_'))
    })
}
