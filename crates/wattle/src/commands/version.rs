//! `wattle version`: which build this is and which APIs it reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use wattle_api::Kind;

use crate::cli::Shared;
use crate::output;

/// Prefix of our own resource types on the wire.
const TYPES: &str = "type.googleapis.com/wattle.v1";

/// What a build is.
#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
    /// Empty when it was not built from a checkout.
    commit: &'static str,
    /// The discovery protocol and its resource types.
    discovery: String,
    /// API versions that are read, by kind, the preferred one first.
    kinds: BTreeMap<&'static str, Vec<String>>,
}

impl Version {
    fn current() -> Self {
        let versions = |kind: Kind| {
            let written = kind.versions().iter().map(|version| match kind.group() {
                "" => (*version).to_owned(),
                group => format!("{group}/{version}"),
            });
            written.collect()
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("WATTLE_COMMIT"),
            discovery: format!("delta ADS v3, {TYPES}"),
            kinds: Kind::ALL
                .into_iter()
                .map(|kind| (kind.unique_name(), versions(kind)))
                .collect(),
        }
    }
}

fn text(version: &Version) -> String {
    let mut text = format!("wattle {}", version.version);
    if !version.commit.is_empty() {
        let _ = write!(text, " ({})", version.commit);
    }
    let _ = write!(text, "\ndiscovery: {}\n", version.discovery);
    for (kind, versions) in &version.kinds {
        let _ = writeln!(text, "reads {kind}: {}", versions.join(", "));
    }
    text
}

/// Prints the version.
pub(crate) fn run(shared: &Shared) -> anyhow::Result<ExitCode> {
    output::show(shared.output, &Version::current(), text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_read_is_listed_with_its_versions() {
        let text = text(&Version::current());
        assert!(text.starts_with("wattle "));
        assert!(
            text.contains(
                "reads HTTPRoute: gateway.networking.k8s.io/v1, gateway.networking.k8s.io/v1beta1\n"
            )
        );
        assert!(text.contains("reads Service: v1\n"));
    }
}
