//! Label sets, written out once and shared.

use std::sync::Arc;

/// The longest label value in bytes; longer ones are cut, since some come from peers.
pub(crate) const MAX_VALUE: usize = 256;

/// Names and values in the form in which Prometheus reads them, without braces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<str>);

impl Default for Labels {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Labels {
    /// Writes the pairs in their order; sets with the same pairs in another order are other sets. Values longer than 256 bytes are cut.
    #[must_use]
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            escape(&mut text, cut(value));
            text.push('"');
        }
        Self(text.into())
    }

    /// The written form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// The longest beginning of a value that fits.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_VALUE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_the_text_format_asks() {
        let labels = Labels::new(&[("a", "x\"y\\z\n"), ("b", "é")]);
        assert_eq!(labels.as_str(), r#"a="x\"y\\z\n",b="é""#);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let labels = Labels::new(&[("a", &"é".repeat(1_000))]);
        assert_eq!(labels.as_str().len(), MAX_VALUE + 4);
    }
}
