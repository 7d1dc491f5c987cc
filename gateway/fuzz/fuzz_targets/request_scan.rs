//! Feeds `request_scan` of `airside-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_hostile::run("request_scan", bytes));
