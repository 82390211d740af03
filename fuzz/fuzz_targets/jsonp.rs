//! A form's field, and a script that carries a payload.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::jsonp(bytes));
