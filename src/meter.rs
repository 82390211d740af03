//! One handle through which every floor counts. The set of metrics is closed; labels are routes and words of ours.

/// Counts for one route.
#[derive(Clone, Debug)]
pub struct Meter;
