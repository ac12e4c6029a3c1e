//! Rust sources as lines of text: which are production, which are tests, where functions begin and end.
//!
//! Text is enough because the tree is formatted by rustfmt: a block closes at the indentation it opened at.

use std::ops::Range;

/// One Rust file, split into the lines that ship and the lines that only test.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Path from the workspace root, with forward slashes.
    pub(crate) path: String,
    /// Every line, in order.
    pub(crate) lines: Vec<Line>,
}

/// One line of a file.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from one.
    pub(crate) number: usize,
    /// As written, without the line break.
    pub(crate) text: String,
    /// Whether it belongs to a test: a test file, or an item below `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

/// A function and how long it is, its signature and closing brace included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) length: usize,
}

impl SourceFile {
    /// Splits a file; `path` decides whether all of it is a test.
    pub(crate) fn new(path: String, text: String) -> Self {
        let whole = is_test_path(&path);
        let raw: Vec<&str> = text.lines().collect();
        let tests = test_ranges(&raw);
        let is_test = |index| whole || tests.iter().any(|range: &Range<usize>| range.contains(&index));
        let lines = raw
            .iter()
            .enumerate()
            .map(|(index, text)| Line {
                number: index + 1,
                text: (*text).to_owned(),
                is_test: is_test(index),
            })
            .collect();
        Self { path, lines }
    }

    /// The crate's folder name, such as `wattle-net`; `xtask`, `bench` or `fuzz` outside `crates/`.
    pub(crate) fn crate_name(&self) -> &str {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("crates") => parts.next().unwrap_or_default(),
            other => other.unwrap_or_default(),
        }
    }

    /// The lines that ship in a binary.
    pub(crate) fn production(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.is_test)
    }

    /// How many lines ship.
    pub(crate) fn production_length(&self) -> usize {
        self.production().count()
    }

    /// The functions of the production lines, in order.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&Line> = self.production().collect();
        (0..lines.len())
            .filter_map(|start| function_at(&lines, start))
            .collect()
    }
}

impl Line {
    /// The line without comments and without the inside of string literals, so that words can be searched.
    pub(crate) fn code(&self) -> String {
        let mut code = String::with_capacity(self.text.len());
        let mut characters = self.text.chars().peekable();
        let mut in_string = false;
        while let Some(character) = characters.next() {
            match (in_string, character) {
                (true, '\\') => drop(characters.next()),
                (_, '"') => {
                    in_string = !in_string;
                    code.push('"');
                }
                (true, _) => {}
                (false, '\'') if characters.peek() == Some(&'"') => drop(characters.next()),
                (false, '/') if characters.peek() == Some(&'/') => break,
                (false, _) => code.push(character),
            }
        }
        code
    }
}

fn is_test_path(path: &str) -> bool {
    let in_folder = ["/tests/", "/benches/", "/examples/", "crates/wattle-testkit/"]
        .iter()
        .any(|folder| path.contains(folder));
    in_folder || path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.ends_with("/test.rs")
}

fn test_ranges(lines: &[&str]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let attribute = lines[index].trim_start();
        if attribute.starts_with("#[cfg(test)]") || attribute.starts_with("#[cfg(all(test,") {
            let end = item_end(lines, index);
            ranges.push(index..end);
            index = end;
        } else {
            index += 1;
        }
    }
    ranges
}

/// One past the last line of the item that the attribute on `start` belongs to.
fn item_end(lines: &[&str], start: usize) -> usize {
    let indentation = indent(lines[start]);
    for (offset, line) in lines[start + 1..].iter().enumerate() {
        let closes = indent(line) == indentation && line.trim_start().starts_with('}');
        let one_line = indent(line) == indentation
            && !line.trim_start().starts_with("#[")
            && (line.trim_end().ends_with(';') || line.trim_end().ends_with('}'));
        if closes || one_line {
            return start + offset + 2;
        }
    }
    lines.len()
}

fn indent(line: &str) -> usize {
    if line.trim().is_empty() {
        usize::MAX
    } else {
        line.len() - line.trim_start().len()
    }
}

fn function_at(lines: &[&Line], start: usize) -> Option<Function> {
    let first = &lines[start].text;
    let name = function_name(first.trim_start())?;
    let indentation = indent(first);
    let ends_here = |text: &str| indent(text) == indentation && text.trim_start().starts_with('}');
    let is_one_line = first.trim_end().ends_with(['}', ';']);
    let length = if is_one_line {
        1
    } else {
        let rest = lines[start + 1..].iter();
        let ends_signature = |text: &str| indent(text) == indentation && text.trim_end().ends_with(';');
        1 + rest
            .take_while(|line| !ends_here(&line.text) && !ends_signature(&line.text))
            .count()
            + 1
    };
    Some(Function {
        name,
        line: lines[start].number,
        length,
    })
}

fn function_name(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    loop {
        let word = words.next()?;
        match word {
            "fn" => break,
            "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"" => {}
            word if word.starts_with("pub(") => {}
            "in" => {}
            word if word.ends_with(')') && text.starts_with("pub(in") => {}
            _ => return None,
        }
    }
    let name: String = words
        .next()?
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("crates/wattle-net/src/lib.rs".into(), text.into())
    }

    #[test]
    fn lines_below_cfg_test_are_tests_and_the_rest_ships() {
        let file = file("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n");
        let shipped: Vec<&str> = file.production().map(|line| line.text.as_str()).collect();
        assert_eq!(shipped, ["fn a() {}", "fn c() {}"]);
    }

    #[test]
    fn a_test_module_in_its_own_file_hides_only_its_declaration() {
        let file = file("#[cfg(test)]\nmod tests;\nfn c() {}\n");
        assert_eq!(file.production_length(), 1);
        let tests = SourceFile::new(
            "crates/wattle-net/src/relay/tests.rs".into(),
            "fn a() {}\n".into(),
        );
        assert_eq!(tests.production_length(), 0);
    }

    #[test]
    fn a_function_is_as_long_as_from_signature_to_closing_brace() {
        let file = file(
            "impl X {\n    pub(crate) async fn go(\n        &self,\n    ) -> u8 {\n        1\n    }\n    fn b();\n}\n",
        );
        let functions = file.functions();
        assert_eq!(
            functions[0],
            Function {
                name: "go".into(),
                line: 2,
                length: 5
            }
        );
        assert_eq!(
            functions[1],
            Function {
                name: "b".into(),
                line: 7,
                length: 1
            }
        );
    }

    #[test]
    fn code_has_neither_comments_nor_the_inside_of_strings() {
        let file = file("let a = \"todo!() \\\" // no\"; // why\n");
        assert_eq!(file.lines[0].code(), "let a = \"\"; ");
    }

    #[test]
    fn the_crate_is_the_folder_below_crates() {
        assert_eq!(file("").crate_name(), "wattle-net");
        assert_eq!(
            SourceFile::new("xtask/src/main.rs".into(), String::new()).crate_name(),
            "xtask"
        );
    }
}
