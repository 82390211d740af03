//! Compressed frames of a WebSocket, and what is offered for them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::deflate(bytes));
