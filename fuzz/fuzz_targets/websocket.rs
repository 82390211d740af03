//! Frames of a WebSocket, beside tungstenite.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polliwog::fuzzing::websocket(bytes));
