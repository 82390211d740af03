//! What clients, backends and servers of a measurement agree on.

/// Whether a message is sent back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answering {
    Echo,
    Silent,
}

/// Returns the number that a client puts into its query, or into its request's head.
pub(crate) fn number_in(text: &str) -> Option<usize> {
    let number = text.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("n="))?;
    number.parse().ok()
}

/// How many sessions get a message at one command.
pub(crate) const GROUP: usize = 32;

/// 32 bytes.
pub(crate) const MESSAGE: &str = "0123456789abcdef0123456789abcdef";

/// The same as Engine.IO writes it.
pub(crate) const PACKET: &str = "40123456789abcdef0123456789abcdef";
