#![no_main]
//! See `wattle_fuzz::yaml`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::yaml::run(input));
