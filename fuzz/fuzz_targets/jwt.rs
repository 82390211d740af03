//! A set of keys, and tokens that are judged by them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::jwt(bytes));
