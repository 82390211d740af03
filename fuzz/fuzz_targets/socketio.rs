//! A conversation through the translator of Socket.IO.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::socketio(bytes));
