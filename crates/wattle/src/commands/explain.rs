//! `wattle explain`: what would happen to a request, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use wattle_control::explain::{Explanation, Question, explain};

use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::{Place, ask};
use crate::output;

/// Arguments of `wattle explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 if the request is let in or redirected, 1 if it is refused or cannot be explained."
)]
pub(crate) struct Arguments {
    /// Who sends it: NAMESPACE/WORKLOAD, a workload of namespace default, or a SPIFFE name
    from: String,
    /// Method, or CONNECT for a TCP connection
    method: String,
    /// Where to, such as http://reviews:9080/reviews/0 or tcp://redis:6379
    url: String,
    /// A header, NAME:VALUE; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Port instead of the URL's
    #[arg(long)]
    port: Option<u16>,
    /// Explain from the manifests in this directory, without a running mesh
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("expected NAME:VALUE, found `{text}`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Prints the explanation; its answer is the exit code.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let question = Question {
        from: arguments.from.clone(),
        method: arguments.method.clone(),
        url: arguments.url.clone(),
        headers: arguments.headers.clone(),
        port: arguments.port,
    };
    let explanation = match &arguments.dir {
        Some(directory) => offline(directory, &question)?,
        None => running(&super::mesh(shared)?, &question)?,
    };
    output::show(shared.output, &explanation, ToString::to_string)?;
    Ok(super::verdict(explanation.answer.allowed))
}

/// From manifests alone: every process counts as if it ran.
pub(super) fn offline(directory: &Path, question: &Question) -> anyhow::Result<Explanation> {
    let (mut mesh, _) = wattle_control::offline::load(directory);
    explain(&mut mesh, question).advise(
        "cannot explain the request",
        "list workloads with `wattle get processes`",
    )
}

/// As the control plane sees it now.
pub(super) fn running(place: &Place, question: &Question) -> anyhow::Result<Explanation> {
    let path = format!("/explain?{}", question.to_query());
    let asked = super::block_on(ask::get(&place.admin_socket(), &path));
    asked.advise(
        "cannot explain the request",
        "list workloads with `wattle get processes`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(
            header("end-user: jason"),
            Ok(("end-user".to_owned(), "jason".to_owned()))
        );
        assert_eq!(header("a:b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert!(header("nothing").is_err());
    }
}
