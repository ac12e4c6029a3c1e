#![no_main]
//! See `wattle_fuzz::dns`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::dns::run(input));
