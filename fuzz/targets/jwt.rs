#![no_main]
//! See `wattle_fuzz::jwt`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::jwt::run(input));
