//! The parameters in a target.

use crate::codec::urlencoded::decode;

/// The parameters of a request, decoded.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let text = |part: &str| String::from_utf8_lossy(&decode(part.as_bytes())).into_owned();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (text(name), text(value))
        };
        Self(query.unwrap_or_default().split('&').map(pair).collect())
    }

    /// Returns the value of a parameter; one that is empty is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, value)| other == name && !value.is_empty());
        found.map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_and_may_be_empty() {
        let query = Query::parse(Some("route=%2Fa%20b%2F&limit=&text=x+y&limit=3&bare"));
        assert_eq!(query.get("route"), Some("/a b/"));
        assert_eq!(query.get("limit"), Some("3"));
        assert_eq!(query.get("text"), Some("x y"));
        assert_eq!(query.get("bare"), None);
        assert_eq!(Query::parse(None).get("route"), None);
    }
}
