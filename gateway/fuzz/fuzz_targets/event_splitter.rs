//! Feeds `event_splitter` of `airside-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_hostile::run("event_splitter", bytes));
