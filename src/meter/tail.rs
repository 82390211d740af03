//! What begins and ends, told line by line for as long as somebody watches.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

/// Tells all watchers the same lines. Without a watcher nothing is made, counted or kept.
#[derive(Clone, Default, Debug)]
pub struct Tail(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    watchers: AtomicUsize,
    /// There while somebody watches.
    lines: Mutex<Option<broadcast::Sender<Bytes>>>,
    came: Notify,
    /// How many more lines may be told until the next snapshot.
    left: AtomicU32,
    missed: AtomicU64,
}

/// Somebody who watches, until this is dropped.
#[derive(Debug)]
pub struct Watcher {
    tail: Tail,
    lines: broadcast::Receiver<Bytes>,
}

/// What a watcher is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A line.
    Line(Bytes),
    /// So many lines came faster than they were read, and are lost.
    Lost(u64),
}

impl Tail {
    /// Begins to watch, unless too many do.
    pub fn watch(&self) -> Option<Watcher> {
        let mut lines = self.lines();
        if self.0.watchers.load(Ordering::Relaxed) >= WATCHERS_MAX {
            return None;
        }
        let sender = lines.get_or_insert_with(|| broadcast::Sender::new(LINES_KEPT));
        let receiver = sender.subscribe();
        self.0.watchers.fetch_add(1, Ordering::Release);
        self.0.came.notify_one();
        Some(Watcher { tail: self.clone(), lines: receiver })
    }

    /// Tells a line, unless nobody watches or too much happens.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        if !self.is_watched() {
            return;
        }
        let one_less = |left: u32| left.checked_sub(1);
        if self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            self.0.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.send(line().into());
    }

    /// Tells what is there now, and lets as many lines follow as people can read. Returns how many were left out before.
    pub fn tell_snapshot(&self, snapshot: impl FnOnce(u64) -> String) {
        let missed = self.0.missed.swap(0, Ordering::Relaxed);
        self.0.left.store(LINES_MAX, Ordering::Relaxed);
        self.send(snapshot(missed).into());
    }

    /// Returns whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.0.watchers.load(Ordering::Acquire) > 0
    }

    /// Ready once somebody watches.
    pub async fn watched(&self) {
        while !self.is_watched() {
            self.0.came.notified().await;
        }
    }

    fn send(&self, line: Bytes) {
        if let Some(lines) = &*self.lines() {
            // The last watcher may have gone.
            let _ = lines.send(line);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Option<broadcast::Sender<Bytes>>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Returns what is told next.
    pub async fn next(&mut self) -> Told {
        match self.lines.recv().await {
            Ok(line) => Told::Line(line),
            Err(broadcast::error::RecvError::Lagged(lost)) => Told::Lost(lost),
            // The sender lives as long as its watchers.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut lines = self.tail.lines();
        if self.tail.0.watchers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *lines = None;
        }
    }
}

/// A line of what is sent to browsers as it happens (the HTML standard, "server-sent events").
pub(super) fn event(name: &str, data: &dyn fmt::Display) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Each takes a connection, and a browser has six.
const WATCHERS_MAX: usize = 32;
/// How many lines a watcher may be behind.
const LINES_KEPT: usize = 512;
/// In a second: more than anybody can read.
const LINES_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_made_while_nobody_watches() {
        let tail = Tail::default();
        tail.tell(|| unreachable!("nobody watches"));
        let mut watcher = tail.watch().unwrap();
        tail.tell(|| unreachable!("nothing may follow before the first snapshot"));
        tail.tell_snapshot(|missed| format!("missed {missed}"));
        tail.tell(|| "line".to_owned());
        assert_eq!(watcher.next().await, Told::Line("missed 1".into()));
        assert_eq!(watcher.next().await, Told::Line("line".into()));
        drop(watcher);
        assert!(!tail.is_watched() && tail.lines().is_none(), "nothing is kept");
        tail.tell(|| unreachable!("nobody watches any more"));
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_counted() {
        let tail = Tail::default();
        let _watcher = tail.watch().unwrap();
        tail.tell_snapshot(|_| String::new());
        let made = AtomicU32::new(0);
        for _ in 0..LINES_MAX + 7 {
            tail.tell(|| {
                made.fetch_add(1, Ordering::Relaxed);
                String::new()
            });
        }
        assert_eq!(made.into_inner(), LINES_MAX);
        tail.tell_snapshot(|missed| {
            assert_eq!(missed, 7);
            String::new()
        });
    }

    #[tokio::test]
    async fn a_slow_watcher_loses_lines_and_is_told_so() {
        let tail = Tail::default();
        let (mut slow, mut fast) = (tail.watch().unwrap(), tail.watch().unwrap());
        for number in 0..LINES_KEPT + 3 {
            tail.tell_snapshot(|_| number.to_string());
            assert_eq!(fast.next().await, Told::Line(number.to_string().into()));
        }
        assert_eq!(slow.next().await, Told::Lost(3));
        assert_eq!(slow.next().await, Told::Line("3".into()));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let tail = Tail::default();
        let watchers: Vec<_> = (0..WATCHERS_MAX).filter_map(|_| tail.watch()).collect();
        assert_eq!(watchers.len(), WATCHERS_MAX);
        assert!(tail.watch().is_none());
        drop(watchers);
        assert!(tail.watch().is_some());
    }
}
