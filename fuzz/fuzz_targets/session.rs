//! Any events around a session, beside its model.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::session(bytes));
