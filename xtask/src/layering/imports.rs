//! Walls that a manifest cannot show: what the lines of a crate may name.

use regex::Regex;

use crate::rust_text::SourceFile;

struct Wall {
    /// Crates whose production lines are searched; empty for all but `except`.
    of: &'static [&'static str],
    except: &'static [&'static str],
    pattern: &'static str,
    why: &'static str,
}

const IO: &str = r"\bstd::(fs|process|env::(var|args|current)|net::(Tcp|Udp)|thread|os::unix::net)|\b(fs::(read|write|File)|TcpStream|TcpListener|UdpSocket)\b";
const CLOCK: &str = r"\b(Instant|SystemTime|Timestamp|Zoned)::now\(";

const WALLS: &[Wall] = &[
    Wall {
        of: &[
            "wattle-model",
            "wattle-identity",
            "wattle-compile",
            "wattle-wire",
            "wattle-api",
        ],
        except: &[],
        pattern: IO,
        why: "this crate does no I/O",
    },
    Wall {
        of: &[
            "wattle-model",
            "wattle-identity",
            "wattle-compile",
            "wattle-wire",
            "wattle-api",
            "wattle-balance",
        ],
        except: &[],
        pattern: CLOCK,
        why: "this crate has no clock: time is an argument",
    },
    Wall {
        of: &["wattle-model", "wattle-compile", "wattle-wire", "wattle-api"],
        except: &[],
        pattern: r"\brand::|\bRandomState::new\(",
        why: "this crate has no randomness: random numbers are arguments",
    },
    Wall {
        of: &[],
        except: &["wattle-net", "wattle-capture", "fuzz"],
        pattern: r"allow\(.*\bunsafe_code\b",
        why: "unsafe lives in net and capture only",
    },
    Wall {
        of: &["wattle-wire"],
        except: &[],
        pattern: r"^\s*pub mod generated\b",
        why: "generated types do not leak upward as a whole; re-export the few that must be seen",
    },
];

/// Looks at every production line.
pub(super) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut violations = Vec::new();
    for wall in WALLS {
        let pattern = Regex::new(wall.pattern).expect("the patterns above are fixed and compile");
        for file in files.iter().filter(|file| applies(wall, file.crate_name())) {
            for line in file.production().filter(|line| pattern.is_match(&line.code())) {
                violations.push(format!(
                    "{}:{}: `{}`: {}",
                    file.path,
                    line.number,
                    line.text.trim(),
                    wall.why
                ));
            }
        }
    }
    violations
}

fn applies(wall: &Wall, name: &str) -> bool {
    (wall.of.is_empty() || wall.of.contains(&name)) && !wall.except.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        check(&[SourceFile::new(path.into(), text.into())])
    }

    #[test]
    fn a_pure_crate_may_not_read_a_file_or_a_clock() {
        let text = "use std::fs;\nlet now = Instant::now();\n";
        assert_eq!(violations("crates/wattle-model/src/lib.rs", text).len(), 2);
        assert_eq!(violations("crates/wattle-control/src/lib.rs", text).len(), 0);
    }

    #[test]
    fn tests_of_a_pure_crate_may_read_files() {
        let text = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert!(violations("crates/wattle-model/src/lib.rs", text).is_empty());
    }

    #[test]
    fn unsafe_is_allowed_in_net_and_refused_in_proxy() {
        let text = "#![allow(unsafe_code)]\n";
        assert!(violations("crates/wattle-net/src/lib.rs", text).is_empty());
        assert_eq!(violations("crates/wattle-proxy/src/lib.rs", text).len(), 1);
    }

    #[test]
    fn generated_types_do_not_leak_as_a_module() {
        assert_eq!(
            violations("crates/wattle-wire/src/lib.rs", "pub mod generated;\n").len(),
            1
        );
        assert!(violations("crates/wattle-wire/src/lib.rs", "pub(crate) mod generated;\n").is_empty());
    }
}
