//! The verdicts as a page, `docs/wire.md`.

use std::fmt::Write as _;
use std::fs;

use crate::corpus::Case;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wire.md");
const HEAD: &str = "# On the wire

What a Wattle proxy makes of input that is malformed, or that two programs could read in two ways, beside what Envoy and nginx
make of it with the settings they come with (Envoy 1.40.0, nginx 1.22.1). This page is written by a test,
[`crates/wattle/tests/wire`](../crates/wattle/tests/wire/main.rs), which sends every input to running proxies in front of a
server that writes down each message it gets; `WATTLE_BLESS=1` writes it anew.

- **400** and the like: refused with this status, and nothing reached the server; behind it Wattle's
  [reason](reasons.md).
- **→ GET / (5)**: forwarded as exactly this, with so many bytes of body; several where the input holds several requests, or
  where a second one was smuggled in. Header fields are shown where they are the point.
- **waits**: for the rest of the message. **closed**: without a word. **reset**, **goaway**: HTTP/2's way to refuse a stream
  or a connection, with its code.

The bounds behind it are in [security.md](security.md#the-wire).
";

/// A verdict that is not the same each time.
pub const CHANCE: &str = "forwarded or not, by chance";

/// One input with all verdicts.
pub struct Row {
    pub case: Case,
    pub envoy: String,
    pub nginx: String,
}

/// The page as it is; none where it is to be written anew.
pub struct Page(Option<String>);

impl Page {
    /// Reads it.
    pub fn read() -> Self {
        let blessed = std::env::var("WATTLE_BLESS").as_deref() == Ok("1");
        Self((!blessed).then(|| fs::read_to_string(PAGE).unwrap_or_default()))
    }

    /// Whether it says the same of an input.
    pub fn knows(&self, row: &Row) -> bool {
        self.0.as_ref().is_none_or(|page| page.contains(&line(row)))
    }

    /// Compares it with what is there, or writes it.
    pub fn check(&self, rows: &[Row]) {
        let new = page(rows);
        let Some(known) = &self.0 else {
            return fs::write(PAGE, new).unwrap();
        };
        let differing: Vec<_> = new
            .lines()
            .zip(known.lines())
            .filter(|(new, old)| new != old)
            .collect();
        assert!(
            new == *known,
            "docs/wire.md is not what was seen; with WATTLE_BLESS=1 it is written anew: {differing:#?}"
        );
    }
}

fn page(rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    let summary = format!("\n{}", summary(rows));
    page.push_str(&summary);
    for (title, http2) in [("HTTP/1", false), ("HTTP/2", true)] {
        write!(page, "\n## {title}\n").unwrap();
        let mut class = "";
        for row in rows.iter().filter(|row| row.case.http2 == http2) {
            if row.case.class != class {
                class = &row.case.class;
                write!(
                    page,
                    "\n### {class}\n\nSource: {}.\n\n| input | Wattle | Envoy | nginx |\n|---|---|---|---|\n",
                    row.case.source
                )
                .unwrap();
            }
            page.push_str(&line(row));
        }
    }
    page
}

fn line(row: &Row) -> String {
    let case = &row.case;
    let ours = match case.inbound == case.outbound {
        true => cell(&case.inbound),
        false => format!(
            "inbound {}; outbound {}",
            cell(&case.inbound),
            cell(&case.outbound)
        ),
    };
    let note = case
        .because
        .as_deref()
        .map(|because| format!("; {because}"))
        .unwrap_or_default();
    format!(
        "| {} | {ours}{note} | {} | {} |\n",
        case.name,
        cell(&row.envoy),
        cell(&row.nginx)
    )
}

/// A verdict, short enough for a table.
fn cell(verdict: &str) -> String {
    if verdict == CHANCE {
        return verdict.to_owned();
    }
    let escaped = verdict
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('<', "&lt;");
    let Some(rest) = escaped.strip_prefix("forwarded ") else {
        return escaped;
    };
    let (messages, then) = rest
        .split_once(", then ")
        .map_or((rest, String::new()), |(m, t)| (m, format!(", then {t}")));
    let told: Vec<_> = messages.split(" \\| ").map(message).collect();
    format!("→ {}{then}", told.join(" → "))
}

fn message(told: &str) -> String {
    let told = told.replacen(" host=x", "", 1);
    match told.split_once(" length=") {
        Some((start, rest)) => match rest.split_once(' ') {
            Some((length, fields)) => format!("{start} ({length}) {fields}"),
            None => format!("{start} ({rest})"),
        },
        None => told,
    }
}

fn summary(rows: &[Row]) -> String {
    let refused = |verdict: &str| !verdict.starts_with("forwarded");
    let count = |of: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| of(row)).count();
    let mut text = String::from("| | inputs | refused | forwarded |\n|---|---:|---:|---:|\n");
    type Verdict = fn(&Row) -> &str;
    let verdicts: [(&str, Verdict); 3] = [
        ("Wattle", |row| &row.case.inbound),
        ("Envoy", |row| &row.envoy),
        ("nginx", |row| &row.nginx),
    ];
    for (name, verdict) in verdicts {
        let no = count(&|row| refused(verdict(row)));
        writeln!(text, "| {name} | {} | {no} | {} |", rows.len(), rows.len() - no).unwrap();
    }
    let alone = count(&|row| is_more_lenient(row));
    write!(
        text,
        "\nForwarded by Wattle and by neither of the others: {alone}"
    )
    .unwrap();
    text.push_str(if alone == 0 {
        ".\n"
    } else {
        "; the reason is beside each.\n"
    });
    text
}

/// Whether we forward what both others refuse.
pub fn is_more_lenient(row: &Row) -> bool {
    let refused = |verdict: &str| !verdict.starts_with("forwarded");
    refused(&row.envoy)
        && refused(&row.nginx)
        && (!refused(&row.case.inbound) || !refused(&row.case.outbound))
}
