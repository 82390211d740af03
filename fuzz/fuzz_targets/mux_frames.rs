//! A frame of a shared connection, in both profiles.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::mux_frames(bytes));
