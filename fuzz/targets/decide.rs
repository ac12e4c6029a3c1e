#![no_main]
//! See `wattle_fuzz::decide`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::decide::run(input));
