//! The header of a proxy in front.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::proxy_header(bytes));
