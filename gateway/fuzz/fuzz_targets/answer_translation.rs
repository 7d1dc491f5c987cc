//! Feeds `answer_translation` of `airside-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_hostile::run("answer_translation", bytes));
