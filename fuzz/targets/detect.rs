#![no_main]
//! See `wattle_fuzz::detect`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::detect::run(input));
