//! Translates Socket.IO 1 and 2 (protocol 4, on Engine.IO 3) into Socket.IO 3 and 4 (protocol 5, on Engine.IO 4), and
//! back. Pure: no I/O, no clock.
//!
//! A [`Translator`] stands between a client of one version and a backend of the other. Events, acks and their
//! attachments pass unchanged. Connecting to a namespace and being refused differ, and the translator keeps the state
//! that this needs. Only the header of a text is read ([`packet`]). `docs/versions.md` lists what can't be translated.

mod bounded_queue;
mod namespaces;
mod new_client;
mod old_client;
mod output;
pub mod packet;
mod query;
mod refusal;
mod root;
#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) mod tests;
mod translator;
mod wires;

pub use output::Out;
pub use translator::Translator;
