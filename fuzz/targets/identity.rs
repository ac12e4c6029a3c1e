#![no_main]
//! See `wattle_fuzz::identity`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wattle_fuzz::identity::run(input));
