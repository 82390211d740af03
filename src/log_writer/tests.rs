//! A log is written in whole lines and in order, and nobody waits for it.

use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A file of this test alone, in a folder that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("polliwog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn a_file_that_was_renamed_is_opened_again_and_no_line_is_lost() {
    let folder = Folder::new("reopened");
    let (path, old) = (folder.0.join("log"), folder.0.join("log.1"));
    let writer = LogWriter::start("test", Target::File(path.clone())).unwrap();
    writer.queue(b"one\n");
    writer.finish(LONG);
    std::fs::rename(&path, &old).unwrap();
    writer.write(b"two\n");
    writer.finish(LONG);
    writer.reopen();
    while !path.exists() {
        thread::yield_now();
    }
    writer.queue(b"three\n");
    writer.write(b"four\n");
    writer.finish(LONG);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\nfour\n");
}

#[test]
fn a_pipe_that_nobody_reads_stalls_nobody_and_what_does_not_fit_is_counted() {
    let folder = Folder::new("slow");
    let (mut reader, pipe) = io::pipe().unwrap();
    let writer = LogWriter::start("test", Target::File(folder.0.join("log"))).unwrap();
    writer.0.0.lock().file = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    writer.count_dropped(move |count| {
        counted.fetch_add(count, Ordering::Relaxed);
    });
    let line = |number: usize| format!("{number:0>1023}\n");
    let lines = 3 * QUEUED_MAX / 1024;
    for number in 0..lines {
        // Both ways: neither may wait, or this test never ends.
        if number % 2 == 0 {
            writer.queue(line(number).as_bytes());
        } else {
            writer.write(line(number).as_bytes());
        }
    }
    // It does not wait for ever.
    writer.finish(Duration::from_millis(10));
    assert!(!writer.0.0.lock().lines.is_empty(), "most of it waits");
    let mut text = Vec::new();
    let reading = thread::spawn(move || {
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    writer.finish(LONG);
    writer.queue(b"last\n");
    writer.finish(LONG);
    while dropped.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    drop(writer);
    let text = reading.join().unwrap();
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.is_sorted(), "in order");
    assert!(text.lines().all(|line| line == "last" || line.len() == 1023), "whole lines only");
    assert_eq!(numbers.len() as u64 + dropped.load(Ordering::Relaxed), lines as u64);
    assert!(numbers.len() >= QUEUED_MAX / 1024);
    assert!(text.ends_with("last\n"));
}

#[test]
fn a_line_is_written_at_once_where_that_takes_no_time() {
    let folder = Folder::new("at-once");
    let path = folder.0.join("log");
    let writer = LogWriter::start("test", Target::File(path.clone())).unwrap();
    for number in 0..100 {
        writer.write(b"line\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), number + 1);
    }
}

#[test]
fn pieces_are_whole_lines() {
    assert_eq!(piece(b"a\nbc\n"), 5);
    let long = [b"a\n".as_slice(), &[b'x'; ATOMIC], b"\nb\n"].concat();
    assert_eq!(piece(&long), 2);
    assert_eq!(piece(&long[2..]), ATOMIC + 1);
    assert_eq!(piece(b"no end"), 6);
}
