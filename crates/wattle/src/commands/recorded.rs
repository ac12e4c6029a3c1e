//! What proxies keep of what they refused, and lines of their access logs.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;
use http::Method;
use wattle_telemetry::Refusal;

use crate::cli::Shared;
use crate::mesh::ask;

/// Longest line that is read, bytes.
const MAX_LINE: u64 = 1 << 20;

/// Every refusal that is remembered: of a file, as `/refusals` of a proxy's admin pages gave it, else of the running proxies.
pub(crate) fn refusals(facts: Option<&Path>, shared: &Shared) -> anyhow::Result<Vec<Refusal>> {
    match facts {
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a list of refusals", file.display()))
        }
        None => {
            let socket = super::mesh(shared)?.supervisor_socket();
            let answer = ask::unix(&socket, Method::GET, "/refusals", bytes::Bytes::new());
            let (_, body) = super::block_on(answer)?;
            serde_json::from_slice(&body).context("cannot read what the proxies refused")
        }
    }
}

/// The first line of standard input.
pub(crate) fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .take(MAX_LINE)
        .read_to_string(&mut line)
        .context("cannot read standard input")?;
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

/// Gives each line of a file, or of standard input for `-`, that is not empty, with its number.
pub(crate) fn each_line(file: &Path, mut take: impl FnMut(usize, &str)) -> anyhow::Result<()> {
    let named = || format!("cannot read {}", file.display());
    let mut reader: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => Box::new(BufReader::new(std::fs::File::open(file).with_context(named)?)),
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.with_context(named)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            take(number, text);
        }
    }
    Ok(())
}
