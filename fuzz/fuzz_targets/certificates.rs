//! A certificate, in PEM or DER.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::certificates(bytes));
