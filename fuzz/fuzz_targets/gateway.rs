//! Connections to a whole proxy with every dialect.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::gateway(bytes));
