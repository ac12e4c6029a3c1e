//! Fields of YAML in block style, found and changed by line: the corpus is written so that each key has a line.

/// A key with its value in a text.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The path with indices, as diagnostics write it.
    pub(crate) path: String,
    /// The path with `[]` for any index.
    pub(crate) pattern: String,
    /// What stands behind the colon.
    pub(crate) value: String,
    line: usize,
    column: usize,
    end: usize,
}

struct Level {
    column: usize,
    path: String,
    pattern: String,
    items: usize,
}

/// Every key of an object, in order.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut column = line.len() - line.trim_start().len();
        while line[column..].starts_with("- ") {
            levels.retain(|level| level.column < column);
            let (path, pattern) = next_item(&mut levels);
            levels.push(Level {
                column,
                path,
                pattern,
                items: 0,
            });
            column += 2;
        }
        let Some((key, value)) = key(&line[column..]) else {
            continue;
        };
        levels.retain(|level| level.column < column);
        let (parent, parent_pattern) = levels
            .last()
            .map_or(("", ""), |level| (&level.path, &level.pattern));
        let dot = if parent.is_empty() { "" } else { "." };
        let entry = Entry {
            path: format!("{parent}{dot}{key}"),
            pattern: format!("{parent_pattern}{dot}{key}"),
            value: value.to_owned(),
            line: number,
            column,
            end: end(&lines, number, column),
        };
        let (path, pattern) = (entry.path.clone(), entry.pattern.clone());
        levels.push(Level {
            column,
            path,
            pattern,
            items: 0,
        });
        found.push(entry);
    }
    found
}

fn next_item(levels: &mut [Level]) -> (String, String) {
    let list = levels.last_mut().unwrap();
    list.items += 1;
    (
        format!("{}[{}]", list.path, list.items - 1),
        format!("{}[]", list.pattern),
    )
}

fn key(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    let plain =
        !key.is_empty() && !key.contains([' ', '[', '{']) && (value.is_empty() || value.starts_with(' '));
    plain.then(|| (key.trim_matches(['\'', '"']), value.trim()))
}

/// The line behind the last one of the value of the key at `line` and `column`.
fn end(lines: &[&str], line: usize, column: usize) -> usize {
    let deeper = |text: &&&str| text.len() - text.trim_start().len() > column;
    line + 1 + lines[line + 1..].iter().take_while(deeper).count()
}

/// The text without the key; the item it was the first key of stays.
pub(crate) fn without(text: &str, entry: &Entry) -> String {
    replaced(text, entry, "")
}

/// The text with another value for the key.
pub(crate) fn with(text: &str, entry: &Entry, value: &str) -> String {
    let line = text.lines().nth(entry.line).unwrap();
    let key = line[entry.column..].split_once(':').unwrap().0;
    replaced(text, entry, &format!("{key}: {value}"))
}

/// Whether the value is a single one, in the line of its key.
pub(crate) fn is_scalar(entry: &Entry) -> bool {
    !entry.value.is_empty() && !entry.value.starts_with(['|', '>'])
}

/// The text with another value for the first single value below the key.
pub(crate) fn with_first_below(text: &str, entry: &Entry, change: impl Fn(&str) -> String) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let below = entry.line + 1..entry.end;
    let line = lines
        .get_mut(below)?
        .iter_mut()
        .find(|line| !line.ends_with([':', '{', '[']))?;
    let start = line
        .find(": ")
        .map(|at| at + 2)
        .or_else(|| line.rfind("- ").map(|at| at + 2))?;
    *line = format!("{}{}", &line[..start], change(&line[start..]));
    Some(lines.join("\n") + "\n")
}

/// Lines stay where they are: what is compiled knows the lines that it comes from.
fn replaced(text: &str, entry: &Entry, by: &str) -> String {
    let lines = text.lines().enumerate().map(|(number, line)| match number {
        _ if number == entry.line => format!("{}{by}", &line[..entry.column]),
        _ if (entry.line..entry.end).contains(&number) => String::new(),
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn keys_are_found_with_their_paths_and_go_with_their_values() {
    let text = "a:\n  b:\n    - c: 1\n      d:\n        - 2\n    - c: 3\ne: [4]\n";
    let found = entries(text);
    let paths: Vec<_> = found.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "a.b", "a.b[0].c", "a.b[0].d", "a.b[1].c", "e"]);
    assert_eq!(
        without(text, &found[3]),
        "a:\n  b:\n    - c: 1\n      \n\n    - c: 3\ne: [4]\n"
    );
    assert_eq!(
        without(text, &found[2]),
        "a:\n  b:\n    - \n      d:\n        - 2\n    - c: 3\ne: [4]\n"
    );
    assert_eq!(
        with(text, &found[4], "5"),
        "a:\n  b:\n    - c: 1\n      d:\n        - 2\n    - c: 5\ne: [4]\n"
    );
}

/// A path with `[]` for any index.
pub(crate) fn pattern(path: &str) -> String {
    let mut steps = path.split('[');
    let first = steps.next().unwrap_or_default().to_owned();
    steps.fold(first, |pattern, step| {
        pattern + "[" + step.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// Whether the path is one that the pattern, which may have `*` for a free key, stands for.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let mut found = path.split('.');
    let same = pattern
        .split('.')
        .all(|wanted| found.next().is_some_and(|step| wanted == "*" || wanted == step));
    same && found.next().is_none()
}
