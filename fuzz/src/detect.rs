//! Protocol detection: the bytes a client starts with.

use wattle_net::{Verdict, classify};

/// Once certain, more bytes change nothing: the answer is the same whatever the pieces.
pub fn run(bytes: &[u8]) {
    let whole = classify(bytes);
    // Every length near the start, where all the answers are given, then wider steps.
    let cuts = (0..bytes.len().min(64)).chain((64..bytes.len()).step_by(97));
    for cut in cuts {
        let early = classify(&bytes[..cut]);
        assert!(
            early == Verdict::NeedMore || early == whole,
            "{early:?} after {cut} bytes, {whole:?} after all"
        );
    }
}
