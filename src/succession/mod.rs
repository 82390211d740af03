//! How a process takes over from the one before it on the same host, without a gap.
//!
//! Every process of a [`Folder`] listens there at a socket that is named after its [`Node`](crate::sid::Node). A new process
//! asks its predecessor for the listening descriptors ([`Heir`]), accepts on them, and then has the predecessor
//! [leave](Heir::take_over). Meanwhile, and until the predecessor's last session has ended, each asks the other at the same
//! socket about sessions that it does not know.
//!
//! ```text
//! successor                                   predecessor
//!     │── hand ─────────────────────────────────>│
//!     │<───────────── names, with descriptors ───│
//!     │   builds everything, accepts             │   accepts as well
//!     │── leave ────────────────────────────────>│
//!     │<──────────────────────────────── left ───│   accepts no more; holds its sessions
//! ```

mod activation;
mod descriptor;
mod folder;
mod handover;
mod notify;
mod settings;
mod start;
mod words;

pub use activation::{Activated, ActivationError};
pub use folder::{Folder, Own, PATH_LEN_MAX, node_of, socket};
pub use handover::{Conversation, Heir, Listening};
pub use notify::{notify_alive, notify_ready, notify_reloaded, notify_reloading, notify_stopping};
pub use settings::Settings;
pub use start::Started;
pub use words::{Wish, read_wish};
