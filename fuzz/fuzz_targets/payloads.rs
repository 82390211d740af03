//! A POST's body, in every form of Engine.IO's payloads.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::payloads(bytes));
