//! A connection of HTTP/1.1, beside hyper alone.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::http1(bytes));
