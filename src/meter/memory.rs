//! What all buffers take of their budget, read whenever the metrics are rendered.

use super::readings::{Reading, row};
use super::row::Measure;
use crate::budget::Budget;

/// Each metric with the function that reads it.
pub(super) static READINGS: &[Reading<Budget>] = &[
    (
        row(
            "polliwog_buffers",
            Measure::Bytes,
            "Bytes in the buffers of all sessions and forwarded bodies",
            "Clients or backends read slowly. From 75 % of `polliwog_buffers_limit_bytes` on, sessions that hold more than their share \
             are held back; from 90 % on, handshakes get 503; at 100 %, sessions end with the reason `memory`.",
        ),
        |budget| Some(budget.used() as u64),
    ),
    (
        row(
            "polliwog_buffers_limit",
            Measure::Bytes,
            "Most bytes in these buffers: `memory_max`, if there is a limit",
            "",
        ),
        |budget| budget.max().map(|max| max as u64),
    ),
    (
        row(
            "polliwog_sessions_held_back",
            Measure::Count,
            "Sessions whose backend is not read, because they hold more than an equal share of the buffers' limit",
            "Their clients read slowly. Raise `memory_max`, or lower `outbox_max` so that each may hold less.",
        ),
        |budget| Some(budget.held_back() as u64),
    ),
];
