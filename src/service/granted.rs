//! What the backend is told of a client that was let in, in headers that no client can set itself.

use http::{HeaderMap, HeaderName};

/// The headers of one client that was let in, among the extensions of its request.
#[derive(Clone, Default, Debug)]
pub(super) struct Granted(HeaderMap);

impl Granted {
    /// Takes the headers with these names from the response that let the client in.
    pub(super) fn of(names: &[HeaderName], response: &HeaderMap) -> Self {
        let mut headers = HeaderMap::new();
        for name in names {
            for value in response.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Self(headers)
    }
}

/// Replaces the headers with these names by what is known of the client; without anything they are removed. A name that
/// some servers read as one of these counts as that one.
pub(super) fn replace(headers: &mut HeaderMap, names: &[HeaderName], granted: Option<&Granted>) {
    if names.is_empty() {
        return;
    }
    for name in headers.keys().filter(|name| is_among(name, names)).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    for (name, value) in granted.into_iter().flat_map(|granted| &granted.0) {
        headers.append(name, value.clone());
    }
}

/// Returns whether a name is one of these to some server.
pub(super) fn is_among(name: &HeaderName, names: &[HeaderName]) -> bool {
    names.iter().any(|one| is_read_as(name, one))
}

/// Returns whether two names are the same to CGI and all that followed it, where `-` and `_` are.
fn is_read_as(name: &HeaderName, other: &HeaderName) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.as_str().bytes().map(plain).eq(other.as_str().bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_a_client_says_of_itself_is_replaced_or_removed() {
        let names = [HeaderName::from_static("x-user"), HeaderName::from_static("x-groups")];
        let response = headers(&[("x-user", "ada"), ("x-groups", "a"), ("x-groups", "b"), ("x-other", "1")]);
        let lies = headers(&[("x-user", "root"), ("x_user", "root"), ("x-groups", "all"), ("x-own", "1")]);

        let mut granted = lies.clone();
        replace(&mut granted, &names, Some(&Granted::of(&names, &response)));
        assert_eq!(
            granted,
            headers(&[("x-own", "1"), ("x-user", "ada"), ("x-groups", "a"), ("x-groups", "b")])
        );
        let mut unknown = lies.clone();
        replace(&mut unknown, &names, None);
        assert_eq!(unknown, headers(&[("x-own", "1")]));
        let mut unrelated = lies.clone();
        replace(&mut unrelated, &[], None);
        assert_eq!(unrelated, lies);
    }
}
