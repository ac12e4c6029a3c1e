#![no_main]
//! See `wattle_fuzz::http`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::http::run(input));
