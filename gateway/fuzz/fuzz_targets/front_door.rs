//! Feeds `front_door` of `airside-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_hostile::run("front_door", bytes));
