//! Which host a request names: one answer for every dialect, before its route is chosen (RFC 9112, section 3.2).

use http::Version;
use http::header::{HOST, HeaderValue};
use http::request::Parts;

/// Gives a request exactly one valid `Host`, that of its target if it is absolute; only before HTTP/1.1 it may have
/// none.
///
/// # Errors
/// The text of the 400.
pub(super) fn settle(head: &mut Parts) -> Result<(), &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() || host.is_none() && head.version >= Version::HTTP_11 {
        return Err("a request names one host\n");
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err("the request's Host is not a host\n");
    }
    // Section 3.2.2: the header is void then.
    if let Some(authority) = head.uri.authority() {
        let host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        match HeaderValue::from_str(host) {
            Ok(value) if is_host(host.as_bytes()) => head.headers.insert(HOST, value),
            Ok(_) | Err(_) => return Err("the request's target names no host\n"),
        };
    }
    Ok(())
}

/// Returns the host of a `Host`, without its port and without the final dot of a fully qualified name.
pub(super) fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Checks a host (RFC 3986, section 3.2.2), with or without a port; an empty host names none.
fn is_host(value: &[u8]) -> bool {
    let is_in_name = |byte: &&u8| IS_IN_NAME[usize::from(**byte)];
    let name_len = literal_len(value).unwrap_or_else(|| value.iter().take_while(is_in_name).count());
    name_len > 0
        && match &value[name_len..] {
            [] => true,
            [b':', port @ ..] => is_port(port),
            [_, ..] => false,
        }
}

/// Returns the length of an address in brackets.
fn literal_len(value: &[u8]) -> Option<usize> {
    let behind = value.strip_prefix(b"[")?;
    let len = behind.iter().position(|&byte| byte == b']')?;
    let text = std::str::from_utf8(&behind[..len]).ok()?;
    text.parse::<std::net::Ipv6Addr>().is_ok().then_some(len + 2)
}

/// Returns whether it is a port, which may be absent after its colon.
fn is_port(digits: &[u8]) -> bool {
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.is_some()
}

/// Unreserved and reserved characters of a registered name, and the mark of escaped ones.
const SIGNS: &[u8] = b"-._~!$&'()*+,;=%";
/// The bytes that a registered name may have, as a table, since every request has a host.
const IS_IN_NAME: [bool; 256] = {
    let mut is_in = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        is_in[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < SIGNS.len() {
        is_in[SIGNS[at] as usize] = true;
        at += 1;
    }
    is_in
};

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn settled(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, &'static str> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        settle(&mut head)?;
        Ok(head.headers.get(HOST).map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_request_names_one_valid_host() {
        for host in [
            "a",
            "a.example:8080",
            "a.example.",
            "a_b",
            "[::1]",
            "[::1]:80",
            "127.0.0.1:1",
            "a:",
            "a:65535",
            "a:00080",
        ] {
            assert_eq!(settled(Version::HTTP_11, "/", &[host]), Ok(Some(host.to_owned())), "{host}");
        }
        for host in [
            "",
            "a/b@c?d",
            "a, b",
            "a@b",
            "a b",
            "a:b",
            "a:1:2",
            "[::1",
            "[x]",
            "[::1]x",
            ":80",
            "http://a",
            "\u{e4}",
            "a:65536",
            "a:99999",
            "[::1]:65536",
            "a:4294967376",
            "a:+80",
        ] {
            assert!(settled(Version::HTTP_11, "/", &[host]).is_err(), "{host}");
            assert!(settled(Version::HTTP_10, "/", &[host]).is_err(), "{host}");
        }
        assert!(settled(Version::HTTP_11, "/", &[]).is_err());
        assert!(settled(Version::HTTP_11, "http://a/", &[]).is_err());
        assert!(settled(Version::HTTP_11, "http://a:99999/", &["a"]).is_err());
        assert_eq!(settled(Version::HTTP_10, "/", &[]), Ok(None));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(settled(version, "/", &["a", "a"]).is_err());
            assert!(settled(version, "http://a/", &["a", "b"]).is_err());
        }
    }

    #[test]
    fn an_absolute_target_takes_the_place_of_the_header() {
        let host = |uri| settled(Version::HTTP_11, uri, &["other"]);
        assert_eq!(host("http://me:pw@a.example:81/x?y"), Ok(Some("a.example:81".to_owned())));
        assert_eq!(host("https://[::1]/"), Ok(Some("[::1]".to_owned())));
        assert_eq!(settled(Version::HTTP_10, "http://a/", &[]), Ok(Some("a".to_owned())));
    }

    #[test]
    fn a_name_is_the_same_with_and_without_port_and_last_dot() {
        assert_eq!(
            ["a", "a:80", "a.", "a.:80", "[::1]:80", "[::1]"].map(name),
            ["a", "a", "a", "a", "[::1]", "[::1]"]
        );
    }
}
