//! Connections as a browser has them, and every byte on them counted.

mod door;
mod head;
mod line;
mod socket;

pub(super) use door::Door;
pub(super) use head::{Head, Query};
pub(super) use line::{Answer, Line};
pub(super) use socket::{Count, Socket};
