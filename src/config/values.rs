//! One reader for each kind of value: what a key takes, and what is said when it is something else.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use rustls::pki_types::ServerName;

use super::fault::Place;
use super::suggestion::{nearest, plain};
use super::tree::{Node, Value};
use crate::address::{ListenAddress, TrustedProxy, UNIX};
use crate::units;
use crate::upstream::is_secure;

/// Why a value is not what its key takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    /// What to show instead of the value.
    pub(super) found: Option<String>,
    pub(super) expected: String,
    /// Nothing, or `; did you mean ...?`.
    pub(super) hint: String,
}

impl Wrong {
    pub(super) fn expected(expected: impl Into<String>) -> Self {
        Self { found: None, expected: expected.into(), hint: String::new() }
    }

    /// Adds the word that was probably meant.
    pub(super) fn or(self, suggestion: Option<impl std::fmt::Display>) -> Self {
        Self {
            hint: suggestion.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default(),
            ..self
        }
    }
}

/// Returns a text. A variable's value that looks like a number or a flag is a text just as well.
pub(super) fn text(node: &Node) -> Result<String, Wrong> {
    match (&node.value, &node.place) {
        (Value::Text(text), _) => Ok(text.clone()),
        (Value::Integer(_) | Value::Flag(_), Place::Variable(_)) => Ok(node.show()),
        (Value::Integer(_) | Value::Flag(_) | Value::Useless(_) | Value::List(_) | Value::Table(_), _) => {
            Err(Wrong::expected("a text in quotes"))
        }
    }
}

/// `true` or `false`.
pub(super) fn flag(node: &Node) -> Result<bool, Wrong> {
    if let Value::Flag(flag) = node.value { Ok(flag) } else { Err(Wrong::expected("true or false")) }
}

/// A count within bounds.
pub(super) fn count(bounds: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<usize, Wrong> {
    move |node| {
        let count =
            if let Value::Integer(integer) = node.value { usize::try_from(integer).ok() } else { None };
        let wrong = || Wrong::expected(format!("a number from {} to {}", bounds.start(), bounds.end()));
        count.filter(|count| bounds.contains(count)).ok_or_else(wrong)
    }
}

/// A duration within bounds. A number without a unit is a fault that shows the number with one; 0 needs none.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> impl Fn(&Node) -> Result<Duration, Wrong> {
    move |node| {
        let written = match &node.value {
            Value::Text(text) | Value::Useless(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Flag(_) | Value::List(_) | Value::Table(_) => {
                return Err(Wrong::expected(units::DURATION));
            }
        };
        let fits = |duration| bounds.contains(&duration);
        let duration = units::parse_duration(&written)
            .map_or_else(unless_too_large, |duration| Ok(Some(duration)))
            .map_err(|wrong| wrong.or(units::with_unit(&written, fits)))?;
        let text = units::duration_text;
        let expected =
            || format!("{} from {} to {}", units::DURATION, text(*bounds.start()), text(*bounds.end()));
        duration.filter(|duration| bounds.contains(duration)).ok_or_else(|| Wrong::expected(expected()))
    }
}

/// A duration within bounds, or zero: that is a way to say never.
pub(super) fn duration_or_never(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&Node) -> Result<Duration, Wrong> {
    let (any, within) = (duration(Duration::ZERO..=Duration::MAX), duration(bounds));
    let wrong = |wrong: Wrong| Wrong { expected: format!("{}, or 0", wrong.expected), ..wrong };
    move |node| match any(node) {
        Ok(zero) if zero.is_zero() => Ok(zero),
        Ok(_) => within(node).map_err(wrong),
        Err(_) => within(node),
    }
}

/// A size within bounds; a bare integer is bytes.
pub(super) fn size(bounds: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<usize, Wrong> {
    move |node| {
        let size = if let Value::Integer(bytes) = node.value {
            usize::try_from(bytes).ok()
        } else {
            units::parse_size(&text(node).map_err(|_| Wrong::expected(units::SIZE))?)
                .map_or_else(unless_too_large, |size| Ok(Some(size)))?
        };
        let text = units::size_text;
        let expected =
            || format!("{} from {} to {}", units::SIZE, text(*bounds.start()), text(*bounds.end()));
        size.filter(|size| bounds.contains(size)).ok_or_else(|| Wrong::expected(expected()))
    }
}

/// A size within bounds, or zero: that is a way to say that there is no limit.
pub(super) fn size_or_none(bounds: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<Option<usize>, Wrong> {
    let (any, within) = (size(0..=usize::MAX), size(bounds));
    let wrong = |wrong: Wrong| Wrong { expected: format!("{}, or 0", wrong.expected), ..wrong };
    move |node| match any(node) {
        Ok(0) => Ok(None),
        Ok(_) | Err(_) => within(node).map(Some).map_err(wrong),
    }
}

/// Explains a number that can't be held: it is out of bounds; anything else is not a number.
fn unless_too_large<T>(error: units::UnitError) -> Result<Option<T>, Wrong> {
    match error {
        units::UnitError::Malformed(expected) => Err(Wrong::expected(expected)),
        units::UnitError::TooLarge => Ok(None),
    }
}

/// Returns one of a few words; `later` are known and not yet served.
pub(super) fn word<T: Copy>(
    words: &[(&'static str, T)],
    later: &[&'static str],
) -> impl Fn(&Node) -> Result<T, Wrong> {
    move |node| {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let one_of = if names.len() == 1 { "" } else { "one of " };
        let expected = format!("{one_of}{}", names.join(", "));
        let found = text(node).map_err(|_| Wrong::expected(expected.as_str()))?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == found) {
            return Ok(*value);
        }
        let wrong = Wrong::expected(expected);
        if later.contains(&found.as_str()) {
            return Err(Wrong { found: Some(format!("{found:?}, not in this version")), ..wrong });
        }
        Err(wrong.or(nearest(&found, names)))
    }
}

/// Returns a token (RFC 9110, section 5.6.2) as a header's value, or nothing for an empty text.
pub(super) fn token(example: &'static str) -> impl Fn(&Node) -> Result<Option<HeaderValue>, Wrong> {
    move |node| {
        let wrong = || Wrong::expected(format!("one name such as \"{example}\", or \"\" for none"));
        let text = text(node).map_err(|_| wrong())?;
        if text.is_empty() {
            return Ok(None);
        }
        // The names of headers are tokens, too.
        text.parse::<HeaderName>().map_err(|_| wrong())?;
        HeaderValue::try_from(text).map(Some).map_err(|_| wrong())
    }
}

/// Returns an address to listen on.
pub(super) fn address(node: &Node) -> Result<SocketAddr, Wrong> {
    let wrong = || Wrong::expected("an address and a port such as \"127.0.0.1:8080\" or \"[::]:8080\"");
    if let Value::Integer(port) = node.value {
        let port = u16::try_from(port).map_err(|_| wrong())?;
        return Err(wrong().or(Some(SocketAddr::from(([0, 0, 0, 0], port)))));
    }
    let text = text(node).map_err(|_| wrong())?;
    let port = |text: &str| text.parse::<u16>().ok();
    let meant = match text.rsplit_once(':') {
        Some(("" | "*", tail)) => port(tail).map(|port| SocketAddr::from(([0, 0, 0, 0], port))),
        Some(("localhost", tail)) => port(tail).map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
        Some(_) | None => None,
    };
    text.parse().map_err(|_| wrong().or(meant))
}

/// Returns an address to listen on, or `unix:` with the path of a socket.
pub(super) fn listen_address(node: &Node) -> Result<ListenAddress, Wrong> {
    let wrong =
        || Wrong::expected("an absolute path of at most 107 bytes, such as \"unix:/run/polliwog.sock\"");
    let Ok(text) = text(node) else { return address(node).map(ListenAddress::Ip) };
    match text.split_once(':') {
        Some((UNIX, path)) => {
            let path = socket_path(path).ok_or_else(|| {
                let meant = path.trim_start_matches('/');
                wrong().or(socket_path(&format!("/{meant}")).map(|path| format!("{UNIX}:{}", path.display())))
            })?;
            Ok(ListenAddress::Unix(path))
        }
        _ if text.starts_with('/') => {
            Err(wrong().or(socket_path(&text).map(|path| format!("{UNIX}:{}", path.display()))))
        }
        _ => address(node).map(ListenAddress::Ip),
    }
}

/// Returns the path of an upstream's socket.
pub(super) fn socket(node: &Node) -> Result<Arc<Path>, Wrong> {
    let wrong = || Wrong::expected("an absolute path of at most 107 bytes, such as \"/run/app.sock\"");
    let text = text(node).map_err(|_| wrong())?;
    socket_path(&text)
        .ok_or_else(|| wrong().or(text.strip_prefix("unix:").filter(|path| path.starts_with('/'))))
}

/// The kernel has room for this much, and a zero behind it. A line between two processes has no control characters.
fn socket_path(text: &str) -> Option<Arc<Path>> {
    let fits = text.starts_with('/') && !text.ends_with('/') && text.len() <= SUN_PATH_MAX;
    (fits && !text.chars().any(char::is_control)).then(|| Path::new(text).into())
}

/// Returns the mode of a socket's file.
pub(super) fn mode(node: &Node) -> Result<u32, Wrong> {
    let wrong = || Wrong::expected("an octal mode in quotes such as \"0660\"");
    let text = text(node).map_err(|_| wrong())?;
    let mode = u32::from_str_radix(&text, 8).ok();
    mode.filter(|mode| (3..=4).contains(&text.len()) && *mode <= 0o777).ok_or_else(wrong)
}

/// Returns which proxies to trust: those of a network, or a single address as a network of one.
pub(super) fn proxy(node: &Node) -> Result<TrustedProxy, Wrong> {
    let wrong = || Wrong::expected("a network such as \"10.0.0.0/8\", an address, or \"unix\"");
    text(node).map_err(|_| wrong())?.parse().map_err(|_| wrong())
}

/// Returns a file's name.
pub(super) fn file(node: &Node) -> Result<PathBuf, Wrong> {
    let wrong = || Wrong::expected("a file name");
    let text = text(node).map_err(|_| wrong())?;
    if text.is_empty() || text.contains('\0') { Err(wrong()) } else { Ok(PathBuf::from(text)) }
}

/// Returns the prefix of a path.
pub(super) fn prefix(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a path that begins with \"/\", such as \"/socket.io/\"");
    let path = text(node).map_err(|_| wrong())?;
    if !path.starts_with('/') {
        return Err(wrong().or(is_path(&format!("/{path}")).then(|| format!("/{path}"))));
    }
    if is_path(&path) { Ok(path) } else { Err(wrong()) }
}

fn is_path(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
    plain && text.parse::<http::uri::PathAndQuery>().is_ok()
}

/// Returns a host without a port, in lower case.
pub(super) fn host(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a host without a port, such as \"chat.example.org\"");
    let text = text(node).map_err(|_| wrong())?.to_ascii_lowercase();
    if is_host(&text) {
        return Ok(text);
    }
    Err(wrong().or(host_within(&text)))
}

/// Returns the host in what may be a URL, or a host with its port or path.
pub(super) fn host_within(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let without_port = authority.rsplit_once(':').map(|(host, _)| host);
    // An address in brackets has colons of its own.
    [Some(authority), without_port].into_iter().flatten().find(|host| is_host(host))
}

fn is_host(text: &str) -> bool {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.chars().all(bare),
    }
}

/// Returns the name in a backend's certificate.
pub(super) fn server_name(node: &Node) -> Result<ServerName<'static>, Wrong> {
    let wrong = || Wrong::expected("a name such as \"chat.example.org\", or an address, without a port");
    let text = text(node).map_err(|_| wrong())?;
    ServerName::try_from(text.clone()).map_err(|_| {
        let name = host_within(&text).map(without_brackets);
        wrong().or(name.filter(|name| *name != text && ServerName::try_from(*name).is_ok()))
    })
}

/// Returns a page's origin as browsers write it, in lower case.
pub(super) fn origin(node: &Node) -> Result<String, Wrong> {
    let text = text(node).unwrap_or_default().to_ascii_lowercase();
    let fits = |(scheme, rest): (&str, &str)| {
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().is_ok()),
            Some(_) | None => (rest, true),
        };
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && port
            && is_host(host)
    };
    // Pages in a WebView that were loaded from a file say one or the other.
    if text == "null" || text == "file://" || text.split_once("://").is_some_and(fits) {
        return Ok(text);
    }
    let wrong = Wrong::expected("an origin such as \"https://example.org\", without a path");
    if text == "*" {
        return Err(Wrong { hint: "; an empty list allows all".to_owned(), ..wrong });
    }
    Err(wrong.or(text.strip_suffix('/').filter(|text| text.split_once("://").is_some_and(fits))))
}

/// Returns where a backend is: a URL with this scheme, `ws` or `http`.
pub(super) fn url(scheme: &'static str) -> impl Fn(&Node) -> Result<Uri, Wrong> {
    move |node| {
        let path = if scheme == "ws" { "/socket.io/" } else { "/" };
        let wrong = || Wrong::expected(format!("a URL such as \"{scheme}://127.0.0.1:3000{path}\""));
        let begins =
            || Wrong::expected(format!("a URL that begins with \"{scheme}://\" or \"{scheme}s://\""));
        let text = text(node).map_err(|_| wrong())?;
        if let Some((found, rest)) = text.split_once("://") {
            match found.to_ascii_lowercase().as_str() {
                found if found == scheme || found.strip_suffix('s') == Some(scheme) => {}
                "ws" | "http" => return Err(wrong().or(Some(format!("{scheme}://{rest}")))),
                "wss" | "https" => return Err(wrong().or(Some(format!("{scheme}s://{rest}")))),
                _ => return Err(begins()),
            }
        }
        place(&text)?.ok_or_else(wrong)
    }
}

/// Returns a URL without a user name that leads to a host.
fn place(text: &str) -> Result<Option<Uri>, Wrong> {
    // A password must not reach a terminal.
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        let found = Some("a URL with a user name".to_owned());
        return Err(Wrong { found, ..Wrong::expected("a URL without one") });
    }
    let Ok(uri) = text.parse::<Uri>() else { return Ok(None) };
    let fits = uri.scheme().is_some()
        && uri.host().is_some_and(|host| is_host(&host.to_ascii_lowercase()))
        && uri.authority().is_some_and(|authority| match authority.port_u16() {
            Some(port) => port > 0,
            None => authority.as_str() == authority.host(),
        })
        && !text.contains('#')
        && (!is_secure(&uri)
            || uri.host().is_some_and(|host| ServerName::try_from(without_brackets(host)).is_ok()));
    Ok(Some(uri).filter(|_| fits))
}

/// Returns an address as certificates name it.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Returns whether the value names Socket.IO where `engine.io` is the word: the protocol below it is what is spoken.
pub(super) fn is_socket_io(node: &Node) -> bool {
    text(node).is_ok_and(|text| matches!(plain(&text).as_str(), "socketio" | "socket_io"))
}

/// The kernel's maximum, without the zero at its end.
const SUN_PATH_MAX: usize = 107;
/// The shortest time that a timer keeps.
pub(super) const MS: Duration = Duration::from_millis(1);
/// A longer wait is a mistaken unit.
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// The largest message that is ever held in memory.
pub(super) const GB: usize = 1_000_000_000;
