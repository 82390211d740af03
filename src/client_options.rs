//! What the commands that act as clients read from their command line: a dialect, a URL, headers, durations.
//!
//! Each function is a value parser: its error says what was expected.

use std::time::Duration;

use clap::ValueEnum;
use http::{HeaderName, HeaderValue, Uri};

use crate::units;

/// The protocol of the clients.
#[cfg_attr(
    not(test),
    expect(
        clippy::missing_docs_in_private_items,
        reason = "one by one they would make two pages of the help"
    )
)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Dialect {
    #[value(name = "engine.io")]
    EngineIo,
    Sockjs,
    Longpoll,
    Websocket,
}

impl Dialect {
    /// Returns its name in options and reports.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::EngineIo => "engine.io",
            Self::Sockjs => "sockjs",
            Self::Longpoll => "longpoll",
            Self::Websocket => "websocket",
        }
    }
}

/// Reads the URL of a server. Credentials in it are refused, because they would be shown in reports.
pub(crate) fn url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| EXPECTED_URL)?;
    let fits = matches!(url.scheme_str(), Some("http" | "https" | "ws" | "wss")) && url.host().is_some();
    let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if fits && !has_user { Ok(url) } else { Err(EXPECTED_URL) }
}

/// Returns whether a URL demands TLS.
pub(crate) fn is_secure(url: &Uri) -> bool {
    matches!(url.scheme_str(), Some("https" | "wss"))
}

/// Reads a header, `Name: value`.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = text.split_once(':').ok_or(EXPECTED_HEADER)?;
    let name = name.trim().parse().map_err(|_| EXPECTED_HEADER)?;
    Ok((name, value.trim().parse().map_err(|_| EXPECTED_HEADER)?))
}

/// Reads a duration, and proposes a unit for one that has none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| match units::with_unit(text, |_| true) {
        Some(meant) => format!("{error}; did you mean \"{meant}\"?"),
        None => error.to_string(),
    })
}

const EXPECTED_URL: &str =
    "expected a URL such as http://127.0.0.1:8080/socket.io/ or wss://chat.example.org/feed";
const EXPECTED_HEADER: &str = "expected a header such as \"Cookie: id=1\"";
