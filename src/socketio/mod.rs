//! Socket.IO 1 and 2 (protocol 4, on Engine.IO 3) in the words of Socket.IO 3 and 4 (protocol 5, on Engine.IO 4), and back.
//! Pure: no I/O, no clock.
//!
//! A [`Translator`] stands between a client of one version and a backend of the other. Events, acks and their attachments
//! pass as they are; what differs is how a namespace is connected and refused, and the translator keeps as much of that as
//! it must. Only the head of a text is read ([`packet`]). `docs/versions.md` lists what can't be translated.

mod namespaces;
mod new_client;
mod old_client;
mod output;
pub mod packet;
mod query;
mod refusal;
mod root;
mod shelf;
#[cfg(test)]
mod tests;
mod translator;
mod wires;

pub use output::Out;
pub use translator::Translator;
