//! Words that say nothing: a type or module must be named in the words of its field.

use std::sync::LazyLock;

use regex::Regex;

use super::Violation;
use crate::rust_text::SourceFile;

/// Each pattern with what to do instead.
static BANNED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (
            r"\b(struct|enum|trait|type|union) \w*(Manager|Helper|Util|Utils)\b",
            "name the thing by what it is",
        ),
        (
            r"\bmod (util|utils|helper|helpers|misc)\b",
            "name the module by what it owns",
        ),
        (
            r"\bfn get_\w+",
            "a reader is named by what it reads, without `get_`",
        ),
    ]
    .into_iter()
    .map(|(pattern, advice)| {
        (
            Regex::new(pattern).expect("the patterns above are fixed and compile"),
            advice,
        )
    })
    .collect()
});

/// Looks at every line, tests included.
pub(super) fn check(file: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    for line in &file.lines {
        let code = line.code();
        for (pattern, advice) in BANNED.iter() {
            if let Some(found) = pattern.find(&code) {
                violations.push(Violation::at(
                    &file.path,
                    line.number,
                    format!("`{}`: {advice}", found.as_str()),
                ));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str) -> Vec<String> {
        let file = SourceFile::new("crates/wattle-net/src/lib.rs".into(), text.into());
        check(&file)
            .into_iter()
            .map(|violation| violation.reason)
            .collect()
    }

    #[test]
    fn banned_names_are_found() {
        for text in [
            "pub struct PoolManager;",
            "mod utils;",
            "pub(crate) fn get_port() {}",
            "enum DialHelper {",
        ] {
            assert_eq!(reasons(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn names_of_the_field_and_words_in_comments_pass() {
        for text in [
            "struct Utilization;",
            "fn target_port() {}",
            "// fn get_port",
            "let s = \"struct XManager\";",
        ] {
            assert!(reasons(text).is_empty(), "{text}");
        }
    }
}
