//! A request of Engine.IO's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::engineio_requests(bytes));
