//! Headers that many requests or responses have in common: they are kept once, and nobody can change them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;

/// Headers that are shared. Their values may be anybody's: who shares them decides whose requests have the same ones.
#[derive(Clone)]
pub struct SharedHeaders(Arc<Inner>);

struct Inner {
    map: HeaderMap,
    /// As a response is written, once one was; `None` if such a response is not.
    written: OnceLock<Option<Box<[u8]>>>,
}

impl SharedHeaders {
    /// Returns the headers.
    pub fn map(&self) -> &HeaderMap {
        &self.0.map
    }

    /// Returns the headers for one alone, who may change them.
    pub fn into_map(self) -> HeaderMap {
        Arc::try_unwrap(self.0).map_or_else(|shared| shared.map.clone(), |own| own.map)
    }

    /// Returns whether others have them now.
    pub fn are_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Returns the headers as `write` writes them, which is called for the first of all who share them.
    pub fn written(&self, write: impl FnOnce(&HeaderMap) -> Option<Vec<u8>>) -> Option<&[u8]> {
        self.0.written.get_or_init(|| write(&self.0.map).map(Vec::into_boxed_slice)).as_deref()
    }
}

impl From<HeaderMap> for SharedHeaders {
    fn from(map: HeaderMap) -> Self {
        Self(Arc::new(Inner { map, written: OnceLock::new() }))
    }
}

impl PartialEq for SharedHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.map() == other.map()
    }
}

impl Eq for SharedHeaders {}

impl fmt::Debug for SharedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::HOST;

    #[test]
    fn what_one_changes_the_others_do_not_have() {
        let shared = SharedHeaders::from(HeaderMap::from_iter([(HOST, HeaderValue::from_static("a"))]));
        assert!(!shared.are_shared());
        let other = shared.clone();
        assert!(shared.are_shared());
        let mut own = other.into_map();
        own.clear();
        assert_eq!(shared.map()[HOST], "a");
        let written = |text: &'static [u8]| move |_: &HeaderMap| Some(text.to_vec());
        assert_eq!(shared.written(written(b"first")), Some(&b"first"[..]));
        assert_eq!(shared.written(written(b"second")), Some(&b"first"[..]), "it is written once");
    }
}
