//! Bodies and frames of SockJS, and their escapes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::sockjs(bytes));
