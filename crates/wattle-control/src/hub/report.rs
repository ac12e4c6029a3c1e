//! What the admin API asks of the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use wattle_api::{Object, ObjectKey, Severity};
use wattle_model::{EndpointHealth, Hop};
use wattle_wire::{Kind, ResourceName};

use wattle_telemetry::Refusal;

use super::guest::Guest;
use super::ledger::{Entry, Version};
use super::stream::Stream;
use super::{Hub, access, trust};
use crate::explain::{ExplainError, Explanation, Question, explain};
use crate::propose::{Proposal, ProposalRequest, propose};
use crate::reach::{Case, Claim, ClaimError};
use crate::records::Record;
use crate::replay::Asked;
use crate::view::{DiagnosticView, EndpointView, ObjectView, ProxyStatus, ResourceStatus, ServiceView};
use crate::why::{Why, WhyError, why};

/// Facts for [`Status`](crate::view::Status) that the hub knows.
pub(crate) struct Census {
    pub(crate) ready: bool,
    pub(crate) objects: usize,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) proxies: Vec<ProxyStatus>,
}

impl Hub {
    /// Who is connected, and how they stand.
    pub(crate) fn census(&mut self, now: Instant) -> Census {
        let diagnostics = self.diagnostics();
        let of = |severity| {
            diagnostics
                .iter()
                .filter(|found| found.severity == severity)
                .count()
        };
        let mut proxies: Vec<_> = self
            .streams
            .values()
            .map(|stream| self.proxy(stream, now))
            .chain(self.envoys.statuses(self.ready, now))
            .collect();
        proxies.sort_by(|a, b| (&a.node, &a.address).cmp(&(&b.node, &b.address)));
        Census {
            ready: self.ready,
            objects: self.mesh.objects().count(),
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            proxies,
        }
    }

    fn proxy(&self, stream: &Stream, now: Instant) -> ProxyStatus {
        let wanted = stream.publisher.wanted();
        let resources = wanted.map(|name| self.resource(stream, &name, now)).collect();
        proxy_status(&stream.guest, resources, Vec::new(), (self.ready, now))
    }

    fn resource(&self, stream: &Stream, name: &ResourceName, now: Instant) -> ResourceStatus {
        let wanted = self.wanted.get(&stream.compiled(name));
        let newest = match name.kind {
            Kind::Trust => trust::of_mesh(name, self.trust.as_ref()),
            _ => wanted.and_then(|wanted| access::visible(wanted, &stream.guest.peer)),
        };
        let newest = newest.map(|encoded| encoded.version.clone());
        let entry = stream.ledger.entry(name);
        resource_status((name.kind.as_str(), &name.name), newest, entry, now)
    }

    /// Every Service with its names and address.
    pub(crate) fn services(&self) -> Vec<ServiceView> {
        let view = |((namespace, name), address, host): (wattle_compile::Name, _, std::sync::Arc<str>)| {
            // The host of a ServiceEntry is its only name.
            let short = [
                format!("{name}.{namespace}.svc"),
                format!("{name}.{namespace}"),
                name.to_string(),
            ];
            let short = short.into_iter().filter(|_| name != host);
            ServiceView {
                names: std::iter::once(host.to_string()).chain(short).collect(),
                namespace: namespace.to_string(),
                name: name.to_string(),
                host: host.to_string(),
                address,
            }
        };
        self.mesh.services().map(view).collect()
    }

    /// The endpoints of every Service port.
    pub(crate) fn endpoints(&mut self) -> Vec<EndpointView> {
        let mut ids = BTreeSet::new();
        for object in self.mesh.objects() {
            if let Object::Service(service) = object {
                let (namespace, name) = (&service.meta.namespace, &service.meta.name);
                ids.extend(
                    service
                        .spec
                        .ports
                        .iter()
                        .map(|port| format!("{namespace}/{name}:{}", port.port.number())),
                );
            }
        }
        let mut found = Vec::new();
        for id in ids {
            let name = wattle_compile::ResourceName::Endpoints(id.as_str().into());
            let wanted = self.wanted.contains_key(&name) || self.envoys.reads(&name);
            let endpoints = self.mesh.endpoints(&id);
            found.extend(
                endpoints
                    .iter()
                    .flat_map(|all| &all.endpoints)
                    .map(|endpoint| endpoint_view(&id, endpoint)),
            );
            if !wanted {
                self.mesh.forget(&name);
            }
        }
        found
    }

    /// Objects in force, by kind, namespace and name, as far as these are given.
    pub(crate) fn objects(
        &mut self,
        kind: Option<wattle_api::Kind>,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Vec<ObjectView> {
        let statuses = self.statuses();
        let asked = self.mesh.objects().filter(|object| {
            let meta = object.meta();
            kind.is_none_or(|kind| kind == object.kind())
                && namespace.is_none_or(|namespace| *namespace == *meta.namespace)
                && name.is_none_or(|name| *name == *meta.name)
        });
        asked
            .map(|object| object_view(object, statuses.get(&object.key())))
            .collect()
    }

    /// One word for every object that is not simply accepted.
    fn statuses(&mut self) -> BTreeMap<ObjectKey, String> {
        let mut statuses = BTreeMap::new();
        for route in self.mesh.route_statuses() {
            let conditions = route.parents.iter().flat_map(|parent| &parent.conditions);
            if let Some(broken) = conditions.clone().find(|condition| !condition.holds) {
                statuses.insert(route.route, broken.reason.to_owned());
            }
        }
        for found in self.diagnostics().iter() {
            if let (Severity::Error, Some(key)) = (found.severity, &found.object) {
                statuses
                    .entry(key.clone())
                    .or_insert_with(|| found.code.to_owned());
            }
        }
        statuses
    }

    /// Everything to be said about the config.
    pub(crate) fn diagnostic_views(&mut self) -> Vec<DiagnosticView> {
        self.diagnostics().iter().map(DiagnosticView::from).collect()
    }

    /// Answers a question about a request. What it compiles beyond what is subscribed to is dropped with the next change.
    pub(crate) fn explain(&mut self, question: &Question) -> Result<Explanation, ExplainError> {
        explain(&mut self.mesh, question)
    }

    /// Asks again about recorded facts.
    pub(crate) fn why(&mut self, refusal: &Refusal) -> Result<Why, WhyError> {
        why(&mut self.mesh, refusal)
    }

    /// All that a claim is about, for a proof on another thread.
    pub(crate) fn case(&mut self, claim: &Claim) -> Result<Case, ClaimError> {
        Case::of(&mut self.mesh, claim)
    }

    /// All that what was seen is about, for decisions on another thread.
    pub(crate) fn asked(&mut self, records: Vec<Record>) -> Asked {
        Asked::of(&mut self.mesh, records)
    }

    /// Policies for what was seen.
    pub(crate) fn propose(&mut self, request: &ProposalRequest) -> Proposal {
        propose(&mut self.mesh, request)
    }

    /// By which settings everything is compiled.
    pub(crate) fn settings(&self) -> wattle_compile::Settings {
        self.mesh.settings().clone()
    }

    /// Virtual addresses as given.
    pub(crate) fn virtual_ips(&self) -> &crate::virtual_ips::VirtualIps {
        &self.virtual_ips
    }
}

/// How a proxy stands, by what it wants; `(ready, now)` say whether the sources have spoken, and the time.
pub(super) fn proxy_status(
    guest: &Guest,
    resources: Vec<ResourceStatus>,
    gaps: Vec<String>,
    (ready, now): (bool, Instant),
) -> ProxyStatus {
    let refused = resources.iter().filter(|one| one.refused.is_some()).count();
    let pending = resources
        .iter()
        .filter(|one| !one.synced && one.refused.is_none())
        .count();
    ProxyStatus {
        node: guest.node.to_string(),
        identity: guest.peer.to_string(),
        address: guest.address.to_string(),
        agent: guest.agent.clone(),
        connected_secs: now.saturating_duration_since(guest.opened).as_secs(),
        synced: ready && pending == 0 && refused == 0,
        pending,
        refused,
        gaps,
        resources,
    }
}

/// How a proxy stands with one resource, by what it said last.
pub(super) fn resource_status(
    (kind, name): (&str, &str),
    newest: Version,
    entry: Option<&Entry>,
    now: Instant,
) -> ResourceStatus {
    let acked = entry.and_then(|entry| entry.acked.clone());
    let refused = entry
        .and_then(|entry| entry.refused.clone())
        .filter(|(version, _)| *version == newest);
    ResourceStatus {
        kind: kind.to_owned(),
        name: name.to_owned(),
        synced: acked.as_ref() == Some(&newest),
        version: newest.map(|version| version.to_string()),
        acked: acked.flatten().map(|version| version.to_string()),
        refused: refused.map(|(_, reason)| reason),
        answered_secs: entry.map(|entry| now.saturating_duration_since(entry.at).as_secs()),
    }
}

fn endpoint_view(id: &str, endpoint: &wattle_model::Endpoint) -> EndpointView {
    let health = match endpoint.health {
        EndpointHealth::Healthy => "healthy",
        EndpointHealth::Draining => "draining",
        EndpointHealth::Unhealthy => "unhealthy",
    };
    EndpointView {
        backend: id.to_owned(),
        address: endpoint.address.to_string(),
        workload: format!("{}/{}", endpoint.workload.namespace, endpoint.workload.instance),
        health: health.to_owned(),
        mtls: endpoint.hop == Hop::MutualTls,
        weight: endpoint.weight,
    }
}

fn object_view(object: &Object, status: Option<&String>) -> ObjectView {
    let (meta, origin) = (object.meta(), object.origin());
    ObjectView {
        kind: object.kind().to_string(),
        namespace: meta.namespace.to_string(),
        name: meta.name.to_string(),
        file: origin.file.to_string(),
        line: origin.at.line,
        status: status.cloned().unwrap_or_else(|| "accepted".to_owned()),
        manifest: object.manifest().unwrap_or_default(),
    }
}
