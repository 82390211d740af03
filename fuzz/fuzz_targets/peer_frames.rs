//! Frames between nodes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::peer_frames(bytes));
