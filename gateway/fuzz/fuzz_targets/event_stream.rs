//! Feeds `event_stream` of `airside-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_hostile::run("event_stream", bytes));
