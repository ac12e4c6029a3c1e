//! The inputs and what is to become of them, from `http1.txt` and `http2.txt`.
//!
//! ```text
//! == CLASS | SOURCE
//! NAME
//!   send BYTES                what is sent; see `text` for escapes and `frames` for HTTP/2
//!   ours VERDICT              what a Wattle proxy does
//!   outbound VERDICT          the same on the outbound side, where it differs
//!   because REASON            why it may be more lenient than both Envoy and nginx
//!   chance                    Envoy forwards a request that comes with its own error, or does not, as it happens
//! ```

use crate::frames;
use crate::text::bytes_of;

/// Where the inputs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire");

/// One input.
#[derive(Clone, Debug)]
pub struct Case {
    pub class: String,
    pub source: String,
    pub name: String,
    pub http2: bool,
    pub bytes: Vec<u8>,
    pub inbound: String,
    pub outbound: String,
    pub because: Option<String>,
    pub chance: bool,
}

/// All inputs, HTTP/1 first.
pub fn all() -> Vec<Case> {
    let file = |name| std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap();
    let mut cases = read(&file("http1.txt"), false);
    cases.extend(read(&file("http2.txt"), true));
    cases
}

fn read(text: &str, http2: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let (mut class, mut source) = ("", "");
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        if let Some(head) = line.strip_prefix("== ") {
            (class, source) = head.split_once(" | ").expect("CLASS | SOURCE");
        } else if let Some(said) = line.strip_prefix("  ") {
            let case = cases.last_mut().expect("a name comes first");
            said_of(case, said);
        } else {
            cases.push(begun(line, class, source, http2));
        }
    }
    cases
}

fn begun(name: &str, class: &str, source: &str, http2: bool) -> Case {
    Case {
        class: class.to_owned(),
        source: source.to_owned(),
        name: name.to_owned(),
        http2,
        bytes: if http2 { frames::opening() } else { Vec::new() },
        inbound: String::new(),
        outbound: String::new(),
        because: None,
        chance: false,
    }
}

fn said_of(case: &mut Case, said: &str) {
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    match word {
        "ours" => (case.inbound, case.outbound) = (rest.to_owned(), rest.to_owned()),
        "outbound" => rest.clone_into(&mut case.outbound),
        "because" => case.because = Some(rest.to_owned()),
        "chance" => case.chance = true,
        "send" => case.bytes.extend(bytes_of(rest)),
        // Instead of the customary opening.
        "open" => case.bytes = bytes_of(rest),
        frame if case.http2 => case.bytes.extend(frames::frame(frame, rest)),
        other => panic!("{}: no `{other}`", case.name),
    }
}
