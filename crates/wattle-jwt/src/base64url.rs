//! Base64url as tokens and keys use it: no padding, no white space, no line breaks, and no second spelling of the same
//! bytes (RFC 7515 section 2, RFC 4648 section 3.5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes that `text` spells, if that is the one way to spell them.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The one spelling of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_read_back() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "Zg==", "Zg=", "Zm8=", "Z", "Zh", "Zm9", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v\r\n", "+/+/", "Zm9\0",
            "Zm9vé", "Zm9v.",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
