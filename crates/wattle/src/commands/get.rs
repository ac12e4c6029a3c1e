//! `wattle get`: objects as the control plane sees them, and what runs.

mod kind;
mod tables;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::Shared;
use crate::failure::Failure;
use crate::mesh::view::{EndpointView, ObjectView, ServiceView, Status as ControlStatus};
use crate::mesh::{Place, ask};
use crate::output;
use crate::supervisor::status::Status;

use kind::Listing;

/// Arguments of `wattle get`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A kind such as HTTPRoute, or one of processes, proxies, services, endpoints; default: all objects
    kind: Option<String>,
    /// One of them
    name: Option<String>,
    /// Only of this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// Prints what is asked for.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let listing = kind::listing(arguments.kind.as_deref())?;
    let place = super::mesh(shared)?;
    match listing {
        Listing::Objects(kind) => objects(arguments, shared, &place, kind),
        Listing::Processes => {
            let found: Vec<Status> = fetch(&place.supervisor_socket(), "/processes")?;
            let is_meant = |one: &Status| arguments.is_meant(&one.namespace, &[&one.instance, &one.process]);
            list(arguments, shared, keep(found, is_meant), tables::processes)
        }
        Listing::Proxies => {
            let found: ControlStatus = fetch(&place.admin_socket(), "/status")?;
            let is_meant = |node: &str| {
                let (namespace, name) = node.split_once('/').unwrap_or(("", node));
                arguments.is_meant(namespace, &[name])
            };
            list(
                arguments,
                shared,
                keep(found.proxies, |one| is_meant(&one.node)),
                tables::proxies,
            )
        }
        Listing::Services => {
            let found: Vec<ServiceView> = fetch(&place.admin_socket(), "/services")?;
            let is_meant = |one: &ServiceView| arguments.is_meant(&one.namespace, &[&one.name]);
            list(arguments, shared, keep(found, is_meant), tables::services)
        }
        Listing::Endpoints => {
            let found: Vec<EndpointView> = fetch(&place.admin_socket(), "/endpoints")?;
            let is_meant = |one: &EndpointView| {
                let (namespace, backend) = one.backend.split_once('/').unwrap_or(("", &one.backend));
                let service = backend.split_once(':').map_or(backend, |(service, _)| service);
                arguments.is_meant(namespace, &[service, backend, &one.backend])
            };
            list(arguments, shared, keep(found, is_meant), tables::endpoints)
        }
    }
}

impl Arguments {
    fn is_meant(&self, namespace: &str, names: &[&str]) -> bool {
        let in_namespace = self.namespace.as_deref().is_none_or(|wanted| wanted == namespace);
        in_namespace && self.name.as_deref().is_none_or(|wanted| names.contains(&wanted))
    }

    fn nothing(&self) -> anyhow::Error {
        let what = self.kind.as_deref().unwrap_or("object");
        let name = self.name.as_deref().unwrap_or_default();
        Failure::error(
            format!("there is no {what} `{name}`"),
            format!("list them with `wattle get {what}`"),
        )
    }
}

fn fetch<T: DeserializeOwned>(socket: &std::path::Path, path: &str) -> anyhow::Result<T> {
    super::block_on(ask::get(socket, path))
}

fn keep<T>(all: Vec<T>, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
    all.into_iter().filter(|one| is_meant(one)).collect()
}

/// A name that nothing has is a failure; a list may be empty.
fn list<T: Serialize>(
    arguments: &Arguments,
    shared: &Shared,
    found: Vec<T>,
    table: fn(&[T]) -> String,
) -> anyhow::Result<ExitCode> {
    if found.is_empty() && arguments.name.is_some() {
        return Err(arguments.nothing());
    }
    let text = |found: &Vec<T>| {
        if found.is_empty() {
            "nothing found\n".to_owned()
        } else {
            table(found)
        }
    };
    output::show(shared.output, &found, text)?;
    Ok(ExitCode::SUCCESS)
}

fn objects(
    arguments: &Arguments,
    shared: &Shared,
    place: &Place,
    kind: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let path = kind.map_or_else(|| "/objects".to_owned(), |kind| format!("/objects/{kind}"));
    let found: Vec<ObjectView> = fetch(&place.admin_socket(), &path)?;
    let found = keep(found, |one| arguments.is_meant(&one.namespace, &[&one.name]));
    match found.as_slice() {
        [one] if arguments.name.is_some() => {
            output::show(shared.output, one, tables::object)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => list(arguments, shared, found, tables::objects),
    }
}
