//! One packet of Engine.IO, in every form.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::packets(bytes));
