//! The limit of open files.

use crate::descriptors;

/// Raises the limit of open files, and warns if it is too low.
pub(super) fn raise_limit(max_sessions: usize) {
    match descriptors::raise_limit() {
        Ok(limit) if limit / DESCRIPTORS_EACH < max_sessions as u64 => {
            tracing::warn!(
                limit,
                max_sessions,
                "too few file descriptors, as a session takes up to {DESCRIPTORS_EACH}: raise `ulimit -Hn` or lower max_sessions"
            );
        }
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "cannot determine the limit of open files"),
    }
}

/// A polling client's two connections, the one that it upgrades to, and the backend's.
const DESCRIPTORS_EACH: u64 = 4;
