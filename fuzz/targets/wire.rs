#![no_main]
//! See `wattle_fuzz::wire`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::wire::run(input));
