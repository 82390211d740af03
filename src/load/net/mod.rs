//! Connections like a browser's, on which every byte is counted.

mod connector;
mod head;
mod line;
mod socket;

pub(super) use connector::Connector;
pub(super) use head::{Head, Query};
pub(super) use line::{Answer, Line};
pub(super) use socket::{Count, Socket};
