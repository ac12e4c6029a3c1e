//! A file as documents: where each starts, and what can be told of one that is not even YAML.

use crate::key::{Kind, ObjectKey};
use crate::scalar::{is_label, is_subdomain};

/// One document of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document<'t> {
    /// Its text, with the `---` line if it has one.
    pub(crate) text: &'t str,
    /// The line of the file it starts at, from 1.
    pub(crate) first_line: u32,
}

/// Splits a file at its document markers.
///
/// YAML forbids lines that start with `---` or `...` inside any value, so splitting by line is
/// exact, and it keeps a document that cannot be parsed from taking its neighbours with it.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let (mut offset, mut line) = (0, 0);
    let mut close = |start: usize, end: usize, first_line: u32| {
        let text = &text[start..end];
        if !text.lines().all(is_blank) {
            documents.push(Document { text, first_line });
        }
    };
    for content in text.split_inclusive('\n') {
        line += 1;
        let begins = is_marker(content, "---");
        let ends = is_marker(content, "...");
        if begins || ends {
            close(start, offset, first_line);
            start = if ends { offset + content.len() } else { offset };
            first_line = if ends { line + 1 } else { line };
        }
        offset += content.len();
    }
    close(start, text.len(), first_line);
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Whether a line holds nothing: space, a comment, a directive or a bare marker.
fn is_blank(line: &str) -> bool {
    let rest = if is_marker(line, "---") { &line[3..] } else { line };
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#') || line.starts_with('%')
}

/// The key of an object whose document is not YAML, read from lines in the usual layout.
pub(crate) fn guess_key(text: &str, namespace: &str) -> Option<ObjectKey> {
    let group = top_value(text, "apiVersion")?
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    let kind = Kind::find(group, top_value(text, "kind")?)?;
    let entries = metadata(text);
    let value = |wanted: &str| {
        entries
            .iter()
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| *value)
    };
    let name = value("name").filter(|name| is_subdomain(name));
    let space = value("namespace").filter(|space| is_label(space));
    let space = if kind.namespaced() {
        space.unwrap_or(namespace)
    } else {
        ""
    };
    Some(ObjectKey::new(kind, space, name?))
}

fn top_value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines()
        .filter_map(pair)
        .find(|(indent, found, _)| *indent == 0 && *found == key)
        .map(|(_, _, value)| value)
}

/// The direct entries of the top-level `metadata`.
fn metadata(text: &str) -> Vec<(&str, &str)> {
    match top_value(text, "metadata").and_then(|flow| flow.strip_prefix('{')) {
        Some(flow) => {
            // Only up to the next mapping, whose entries could be taken for those of this one.
            let flow = flow.split(['{', '}']).next().unwrap_or(flow);
            flow.split(',')
                .filter_map(pair)
                .map(|(_, key, value)| (key, value))
                .collect()
        }
        None => metadata_block(text),
    }
}

fn metadata_block(text: &str) -> Vec<(&str, &str)> {
    let inside = text
        .lines()
        .skip_while(|line| !line.starts_with("metadata:"))
        .skip(1);
    let block: Vec<_> = inside
        .take_while(|line| line.starts_with(' ') || line.trim().is_empty() || line.starts_with('#'))
        .filter_map(pair)
        .collect();
    let depth = block.first().map_or(0, |(indent, _, _)| *indent);
    block
        .into_iter()
        .filter(|(indent, _, _)| *indent == depth)
        .map(|(_, key, value)| (key, value))
        .collect()
}

/// `key: value` in one line, with its indentation; quotes and comments are taken off the value.
fn pair(line: &str) -> Option<(usize, &str, &str)> {
    let trimmed = line.trim_start_matches(' ');
    let (key, value) = trimmed.split_once(':')?;
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    Some((
        line.len() - trimmed.len(),
        key,
        value.trim().trim_matches(['"', '\'']),
    ))
}
