//! What a hostile peer of a shared connection sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::mux_peer(bytes));
