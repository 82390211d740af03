//! A request of longpoll's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::longpoll_requests(bytes));
