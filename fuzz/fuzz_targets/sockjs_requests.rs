//! A request of SockJS's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::sockjs_requests(bytes));
