//! What is wrong, or does not do what its writer may expect, object by object. Nothing here changes what is compiled.

use wattle_api::{Diagnostic, Finding, Kind, Meta, Object, Origin, Severity};

use crate::Settings;
use crate::any_route::AnyRoute;
use crate::store::Store;
use crate::view::View;

mod attached;
mod datagrams;
mod external;
mod istio;
mod limit;
mod linkerd;
mod policy;
mod route;
mod server;
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

    /// Warns of what is read but not applied yet.
    fn no_effect(&mut self, field: &str, what: &str) {
        self.warn("no-effect", field, format!("{what} and has no effect"), "");
    }

    /// A field that is read and changes nothing; `reason` says what holds instead.
    fn ignored(&mut self, field: &str, reason: &str) {
        self.warn(
            "no-effect",
            field,
            format!("the field has no effect: {reason}"),
            "",
        );
    }

    fn info(&mut self, code: &'static str, field: &str, reason: String) {
        self.add(
            Severity::Info,
            Finding::new(code, self.origin.locate(field), field, reason),
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

fn of(object: &Object, store: &Store, settings: &Settings) -> Vec<Diagnostic> {
    let view = View::new(store, settings);
    let mut findings = Findings {
        kind: object.kind(),
        meta: object.meta(),
        origin: object.origin(),
        found: Vec::new(),
    };
    linkerd::check_annotations(object, &mut findings);
    datagrams::check(object, &mut findings);
    if let Some(route) = AnyRoute::of(object) {
        route::check(&route, &view, &mut findings);
        return findings.found;
    }
    match object {
        Object::Service(service) => service::check(service, &view, &mut findings),
        Object::WorkloadEntry(entry) => service::check_entry(entry, &mut findings),
        Object::PeerAuthentication(policy) => policy::check_peer(policy, &view, &mut findings),
        Object::AuthorizationPolicy(policy) => policy::check_authorization(policy, &view, &mut findings),
        Object::RequestAuthentication(policy) => policy::check_tokens(policy, &view, &mut findings),
        Object::VirtualService(found) => istio::check_virtual_service(found, &view, &mut findings),
        Object::DestinationRule(rule) => istio::check_destination_rule(rule, &view, &mut findings),
        Object::ServiceEntry(entry) => istio::check_service_entry(entry, &view, &mut findings),
        Object::Sidecar(sidecar) => istio::check_sidecar(sidecar, &view, &mut findings),
        Object::Namespace(namespace) => service::check_namespace(namespace, &mut findings),
        Object::ServiceAccount(_) | Object::ReferenceGrant(_) | Object::Process(_) => {}
        Object::BackendTlsPolicy(policy) => attached::check_tls(policy, &view, &mut findings),
        Object::BackendTrafficPolicy(policy) => attached::check_traffic(policy, &view, &mut findings),
        Object::EndpointSlice(slice) => attached::check_slice(slice, &view, &mut findings),
        Object::RateLimit(policy) => limit::check_rate(policy, &view, &mut findings),
        Object::LocalRateLimit(policy) => limit::check_local(policy, &view, &mut findings),
        Object::Server(found) => server::check(found, &view, &mut findings),
        Object::ServerPolicy(policy) => server::check_policy(policy, &view, &mut findings),
        Object::ServerAuthorization(found) => server::check_authorization(found, &view, &mut findings),
        Object::MeshTlsAuthentication(found) => server::check_identities(found, &view, &mut findings),
        Object::NetworkAuthentication(_) => {}
        Object::ServiceProfile(profile) => limit::check_profile(profile, &view, &mut findings),
        Object::EgressPolicy(policy) => limit::check_egress(policy, &view, &mut findings),
        Object::ConfigMap(map) => {
            external::check_config(map, &view, &mut findings);
            attached::check_authorities(map, &mut findings);
        }
        Object::EgressNetwork(_) => {}
        Object::WorkloadGroup(_) => {
            let reason = "a template for automatic registration; workloads register themselves here, so that nothing is \
                          taken from it";
            findings.warn("no-effect", "", reason.to_owned(), "");
        }
        other => {
            let what = format!("the kind {} is read but not applied yet", other.kind());
            findings.no_effect("", &what);
        }
    }
    findings.found
}
