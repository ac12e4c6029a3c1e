//! The workshop: checks of this repository's own rules, and code generation, run as `cargo xtask COMMAND`.
//!
//! Owns what a compiler cannot say: which crate may know which (`layering`), the shape and words of the
//! sources (`tidy`), and the Rust that is generated from protobuf (`proto`). It refuses to know how the
//! mesh works. Start reading at [`run`]; every check is a pure function from text to violations, beside
//! tests that show it fail.

mod layering;
mod proto;
mod rust_text;
mod tidy;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND
  layering            which crate may depend on which (DESIGN, section 5)
  tidy [--update]     sizes, names, left-overs; --update shrinks the ratchet to what is there
  proto [--check]     generate Rust from crates/wattle-wire/proto; --check only reports drift";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let root = tree::root();
    match words {
        ["layering"] => layering::run(&root),
        ["tidy"] => tidy::run(&root, tidy::Mode::Check),
        ["tidy", "--update"] => tidy::run(&root, tidy::Mode::Update),
        ["proto"] => proto::run(&root, proto::Mode::Write),
        ["proto", "--check"] => proto::run(&root, proto::Mode::Check),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown command `{}`\n{USAGE}", words.join(" ")),
    }
}
