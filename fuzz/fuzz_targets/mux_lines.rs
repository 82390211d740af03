//! Any events around both ends of a shared connection, with breaks.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::mux_lines(bytes));
