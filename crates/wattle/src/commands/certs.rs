//! `wattle certs`: who has which certificate.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::Shared;
use crate::mesh::ask;
use crate::mesh::view::{CertificateView, RotationView};
use crate::output;
use crate::view::table::{render, words};
use crate::view::time::until;

/// Arguments of `wattle certs`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// Everything in force.
#[derive(Debug, Serialize)]
struct Inventory {
    authority: RotationView,
    certificates: Vec<CertificateView>,
}

/// Lists the authority and every certificate that is valid.
pub(crate) fn run(_: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let socket = super::mesh(shared)?.admin_socket();
    let found = super::block_on(async {
        anyhow::Ok(Inventory {
            authority: ask::get(&socket, "/rotation").await?,
            certificates: ask::get(&socket, "/certificates").await?,
        })
    })?;
    output::show(shared.output, &found, text)?;
    Ok(super::verdict(!found.authority.expired))
}

fn text(found: &Inventory) -> String {
    let columns = [
        words("IDENTITY"),
        words("UNTIL"),
        words("ISSUED BY").dispensable(1),
        words("ISSUER").dispensable(2),
        words("CONNECTED").dispensable(3),
        words("SERIAL").dispensable(4),
    ];
    let signing = &found.authority.signing;
    let role = |identity: &str, until_secs: u64, by: &str, kind: &str| {
        vec![
            identity.to_owned(),
            until(until_secs),
            by.to_owned(),
            kind.to_owned(),
            "-".to_owned(),
            "-".to_owned(),
        ]
    };
    let own = [
        role(
            &format!("(root {})", signing.root),
            signing.root_not_after_secs,
            &signing.root,
            "itself",
        ),
        role(
            &format!("(issuer {})", signing.issuer),
            signing.not_after_secs,
            &signing.root,
            "root",
        ),
    ];
    let leaf = |one: &CertificateView| {
        vec![
            one.identity.clone(),
            until(one.not_after_secs),
            one.issuer.clone(),
            match (one.issued_secs, one.current) {
                (0, _) => "other",
                (_, true) => "current",
                (_, false) => "earlier",
            }
            .to_owned(),
            if one.connected { "yes" } else { "no" }.to_owned(),
            one.serial.clone(),
        ]
    };
    render(
        &columns,
        own.into_iter().chain(found.certificates.iter().map(leaf)),
    )
}
