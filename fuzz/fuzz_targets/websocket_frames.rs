//! The headers of a relayed WebSocket's frames.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::websocket_frames(bytes));
