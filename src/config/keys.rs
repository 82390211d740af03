//! The one table of all keys, joined from those of each section: the reader finds unknown keys with it, and a test holds
//! the shipped file to it.

use std::sync::LazyLock;

use super::row::keys_of;
use super::{
    acme, auth, check, cluster, connection_limits, cors, jwt, limits, listeners, log, mux, routes, sessions,
    succession, tls, trust, upstreams,
};
use crate::dialect;
use crate::dialect::table::DIALECTS;

pub use super::key::{Key, Only, SECTIONS, Section, Shown, Type};
pub use super::served::dialects;

/// Every key, in the order of the shipped file: those of each dialect stand at the end of `[defaults]`.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own = |key: &dialect::keys::Key| Key {
        section: Section::Defaults,
        name: key.name,
        takes: Type::of(&key.value),
        shown: Shown::Default(key.default),
        doc: key.doc,
        only: None,
    };
    let mut keys = Vec::new();
    keys.extend(keys_of(listeners::SHORT));
    keys.extend(keys_of(listeners::SERVER));
    keys.extend(keys_of(tls::TLS));
    keys.extend(keys_of(tls::CERTIFICATES));
    keys.extend(keys_of(acme::ACME));
    keys.extend(keys_of(listeners::LISTENER));
    keys.extend(keys_of(limits::LIMITS));
    keys.extend(keys_of(connection_limits::CONNECTIONS));
    keys.extend(keys_of(listeners::ADMIN));
    keys.extend(keys_of(log::LOG));
    keys.extend(keys_of(cluster::CLUSTER));
    keys.extend(keys_of(cluster::TLS));
    keys.extend(keys_of(succession::SUCCESSION));
    keys.extend(keys_of(sessions::DEFAULTS));
    keys.extend(DIALECTS.iter().flat_map(|kind| kind.keys).map(own));
    keys.extend(keys_of(cors::CORS));
    keys.extend(keys_of(routes::ROUTE));
    keys.extend(keys_of(jwt::JWT));
    keys.extend(keys_of(auth::AUTH));
    keys.extend(keys_of(mux::ROUTE));
    keys.extend(keys_of(upstreams::UPSTREAM));
    keys.extend(keys_of(check::CHECK));
    keys.extend(keys_of(mux::UPSTREAM));
    keys.extend(keys_of(trust::TLS));
    keys
});
