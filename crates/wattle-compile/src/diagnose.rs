//! What is wrong, or does not do what its writer may expect, object by object. Nothing here changes what is compiled.

use wattle_api::{Diagnostic, Finding, Kind, Meta, Object, Origin, Severity};

use crate::Settings;
use crate::store::Store;
use crate::view::View;

mod policy;
mod route;
mod service;

/// Most diagnostics of one object; what is beyond is left out.
const MAX_FINDINGS: usize = 64;

/// Collects the findings of one object.
struct Findings<'a> {
    kind: Kind,
    meta: &'a Meta,
    origin: &'a Origin,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn add(&mut self, severity: Severity, finding: Finding) {
        if self.found.len() >= MAX_FINDINGS {
            return;
        }
        self.found
            .push(finding.about(severity, Some(self.meta.key(self.kind)), self.origin.file.clone()));
    }

    fn error(&mut self, code: &'static str, field: &str, reason: String, hint: &str) {
        self.add(
            Severity::Error,
            Finding::new(code, self.origin.locate(field), field, reason).hint(hint),
        );
    }

    fn warn(&mut self, code: &'static str, field: &str, reason: String, hint: &str) {
        self.add(
            Severity::Warning,
            Finding::new(code, self.origin.locate(field), field, reason).hint(hint),
        );
    }
}

/// The diagnostics of all objects, by file and place.
pub(crate) fn all(store: &Store, settings: &Settings) -> Vec<Diagnostic> {
    let mut found: Vec<_> = store
        .objects
        .values()
        .flat_map(|object| of(object, store, settings))
        .collect();
    found.sort_by(|a, b| (&a.file, a.at, &a.object, a.code).cmp(&(&b.file, b.at, &b.object, b.code)));
    found
}

/// A kind that is read and checked, and that nothing is compiled from yet.
fn without_effect(kind: Kind, findings: &mut Findings<'_>) {
    let reason = format!("the kind {kind} is not supported yet and has no effect");
    findings.warn("unsupported-kind", "kind", reason, "");
}

fn of(object: &Object, store: &Store, settings: &Settings) -> Vec<Diagnostic> {
    let view = View::new(store, settings);
    let mut findings = Findings {
        kind: object.kind(),
        meta: object.meta(),
        origin: object.origin(),
        found: Vec::new(),
    };
    match object {
        Object::Service(service) => service::check(service, &view, &mut findings),
        Object::WorkloadEntry(entry) => service::check_entry(entry, &mut findings),
        Object::HttpRoute(route) => route::check(route, &view, &mut findings),
        Object::PeerAuthentication(policy) => policy::check_peer(policy, &view, &mut findings),
        Object::AuthorizationPolicy(policy) => policy::check_authorization(policy, &view, &mut findings),
        Object::VirtualService(_)
        | Object::DestinationRule(_)
        | Object::ServiceEntry(_)
        | Object::WorkloadGroup(_)
        | Object::Sidecar(_) => without_effect(object.kind(), &mut findings),
        _ => {}
    }
    findings.found
}
