//! What is said about a port of a Service as a backend: by the Service itself, by Linkerd's annotations and profiles,
//! and by the Gateway API's policies.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use wattle_api::{
    BackendTlsPolicy, BackendTrafficPolicy, CaCertificateRef, CaCertificates, Kind, LinkerdAnnotations,
    Object, PolicyTarget, Resource, RetryConstraint, Service, ServicePort, ServiceProfile, SubjectAltName,
    TlsValidation,
};
use wattle_model::traffic::{
    Balance, HashKey, HashTable, LocalityPolicy, OutlierDetection, RetryBudget, Roots, SubjectName, TlsFiles,
    UpstreamTls,
};
use wattle_model::{BackendPolicy, ObjectRef, SessionPersistence};

use crate::any_route::older;
use crate::linkerd::{self, profile};
use crate::route::object_ref;
use crate::view::View;
use crate::{Name, Read, route};

/// Points of the ring that client addresses are mapped to.
const RING: u32 = 1024;
/// Bounds of the time that the minimum of a budget refers to.
const MIN_PER: Duration = Duration::from_millis(1);
const MAX_PER: Duration = Duration::from_secs(3600);
/// Longest window of a budget of repetitions.
const MAX_WINDOW: Duration = Duration::from_secs(60);

/// What a BackendTLSPolicy makes of connections to a port.
pub(crate) enum Tls {
    /// Nobody asks for TLS.
    None,
    /// TLS as asked for, and by whom.
    Origination(UpstreamTls, ObjectRef),
    /// TLS is asked for and cannot be had, so that nothing may be sent.
    Broken,
}

/// Why TLS cannot be had.
pub(crate) enum Broken {
    /// None of the objects that are named has certificates.
    Refs,
    /// Nobody knows a set of certificates of this name.
    WellKnown,
}

/// Adds to the policy of a port of a Service what its DestinationRule leaves open, for callers that see `profile`.
pub(crate) fn complete(
    policy: &mut BackendPolicy,
    service: &Resource<Service>,
    port: &ServicePort,
    profile: Option<&Resource<ServiceProfile>>,
    view: &View<'_>,
) {
    let name = (
        Arc::clone(&service.meta.namespace),
        Arc::clone(&service.meta.name),
    );
    if policy.tls == UpstreamTls::default()
        && let Tls::Origination(tls, origin) = tls(&name, port, view)
    {
        policy.tls = tls;
        policy.origins.push(origin);
    }
    if policy.retry_budget.is_none()
        && let Some((budget, origin)) = retry_budget(&name, profile, view)
    {
        policy.retry_budget = Some(budget);
        policy.origins.push(origin);
    }
    if of_itself(policy, service, profile.is_some()) {
        policy
            .origins
            .push(object_ref(&service.meta, Kind::Service, &service.origin));
    }
}

/// The budget of repetitions, of the Service's XBackendTrafficPolicy, else of the profile, and who set it.
fn retry_budget(
    name: &Name,
    profile: Option<&Resource<ServiceProfile>>,
    view: &View<'_>,
) -> Option<(RetryBudget, ObjectRef)> {
    let of_policy = traffic(name, view).and_then(|found| {
        let origin = object_ref(&found.meta, Kind::BackendTrafficPolicy, &found.origin);
        Some((budget(found.spec.retry_constraint?), origin))
    });
    of_policy.or_else(|| {
        let found = profile?;
        let origin = object_ref(&found.meta, Kind::ServiceProfile, &found.origin);
        Some((profile::budget(&found.spec)?, origin))
    })
}

/// What the Service says itself, where nothing is said yet; false when that is nothing.
fn of_itself(policy: &mut BackendPolicy, service: &Resource<Service>, profiled: bool) -> bool {
    let traffic = &service.spec.traffic;
    let affine = traffic.client_affinity_secs.is_some() && policy.balance == Balance::default();
    if affine {
        policy.balance = Balance::Hash {
            key: HashKey::SourceAddress,
            table: HashTable::Ring(RING),
        };
    }
    let near = traffic.distribution.is_some() && policy.locality == LocalityPolicy::default();
    policy.locality.failover |= near;
    // As with Linkerd, a profile and failure accrual exclude each other.
    let said = LinkerdAnnotations::of(&service.meta);
    let accrual = linkerd::accrual(&said).filter(|_| !profiled && policy.outliers.is_none());
    if accrual.is_some() {
        policy.outliers = Some(OutlierDetection {
            consecutive_5xx: None,
            accrual,
            ..OutlierDetection::default()
        });
    }
    affine || near || accrual.is_some()
}

fn budget(written: RetryConstraint) -> RetryBudget {
    let rate = written.min_retry_rate;
    RetryBudget::Rate {
        percent: f64::from(written.budget.percent),
        minimum: rate.count,
        per: rate.interval.clamp(MIN_PER, MAX_PER),
        window: written.budget.interval.min(MAX_WINDOW),
    }
}

/// The session that requests to a Service stay with.
pub(crate) fn session(service: &Name, view: &View<'_>) -> Option<SessionPersistence> {
    let policy = traffic(service, view)?;
    let owner = format!(
        "{} {}/{}",
        Kind::BackendTrafficPolicy,
        policy.meta.namespace,
        policy.meta.name
    );
    route::session::session(policy.spec.session_persistence.as_ref()?, &owner, "/")
}

/// The XBackendTrafficPolicy of a Service: the oldest.
pub(crate) fn traffic<'a>(service: &Name, view: &View<'a>) -> Option<&'a Resource<BackendTrafficPolicy>> {
    let found = view.found(Read::PoliciesOf(service.clone()));
    let policies = found.filter_map(|object| match object {
        Object::BackendTrafficPolicy(policy) => Some(policy),
        _ => None,
    });
    policies.min_by(|a, b| older(&a.meta, &b.meta))
}

/// The TLS of a port. A policy for the port beats one for the whole Service, then the older wins.
pub(crate) fn tls(service: &Name, port: &ServicePort, view: &View<'_>) -> Tls {
    // A policy that cannot be read might ask for anything.
    if view.unreadable(Kind::BackendTlsPolicy, &service.0).is_some() {
        return Tls::Broken;
    }
    match tls_policy(service, port, view) {
        None => Tls::None,
        Some(policy) => match origination(&policy.spec.validation, &service.0, view) {
            Ok(tls) => {
                let origin = object_ref(&policy.meta, Kind::BackendTlsPolicy, &policy.origin);
                Tls::Origination(tls, origin)
            }
            Err(_) => Tls::Broken,
        },
    }
}

/// The BackendTLSPolicy that wins on a port.
pub(crate) fn tls_policy<'a>(
    service: &Name,
    port: &ServicePort,
    view: &View<'a>,
) -> Option<&'a Resource<BackendTlsPolicy>> {
    let found = view.found(Read::PoliciesOf(service.clone()));
    let policies = found.filter_map(|object| match object {
        Object::BackendTlsPolicy(policy) => Some(policy),
        _ => None,
    });
    let narrow = |policy: &Resource<BackendTlsPolicy>| {
        let targets = policy.spec.target_refs.iter();
        targets
            .filter(|target| covers(target, service, port))
            .map(|target| target.section_name.is_some())
            .max()
    };
    policies
        .filter_map(|policy| Some((Reverse(narrow(policy)?), policy)))
        .min_by(|(a, left), (b, right)| a.cmp(b).then_with(|| older(&left.meta, &right.meta)))
        .map(|(_, policy)| policy)
}

/// Whether a target is this port or the whole of its Service.
pub(crate) fn covers(target: &PolicyTarget, service: &Name, port: &ServicePort) -> bool {
    let section = target.section_name.as_ref();
    target.is_service()
        && *target.name == *service.1
        && section.is_none_or(|section| port.name.as_ref() == Some(section))
}

/// The TLS that is asked for by a policy of this namespace, or why it cannot be had.
pub(crate) fn origination(
    written: &TlsValidation,
    namespace: &Arc<str>,
    view: &View<'_>,
) -> Result<UpstreamTls, Broken> {
    let roots = match &written.authorities {
        CaCertificates::WellKnown(set) if set == "System" => Roots::System,
        CaCertificates::WellKnown(_) => return Err(Broken::WellKnown),
        CaCertificates::Refs(refs) => {
            let found = refs
                .iter()
                .filter_map(|written| authorities(written, namespace, view));
            let found: Vec<_> = found.collect();
            match found.is_empty() {
                true => return Err(Broken::Refs),
                false => Roots::Given(found.join("\n").into()),
            }
        }
    };
    let name = |name: &SubjectAltName| match name {
        SubjectAltName::Hostname(name) => SubjectName::Dns(name.as_str().into()),
        SubjectAltName::Uri(uri) => SubjectName::Uri(uri.as_str().into()),
    };
    Ok(UpstreamTls::Origination {
        sni: Some(written.hostname.as_str().into()),
        names: written.subject_alt_names.iter().map(name).collect(),
        files: TlsFiles {
            roots,
            ..TlsFiles::default()
        },
        unverified: false,
    })
}

/// The certificates that a reference of a policy leads to.
pub(crate) fn authorities<'a>(
    written: &CaCertificateRef,
    namespace: &Arc<str>,
    view: &View<'a>,
) -> Option<&'a str> {
    if !(written.group.is_empty() && written.kind == Kind::ConfigMap.as_str()) {
        return None;
    }
    let name = (Arc::clone(namespace), written.name.as_str().into());
    let mut found = view
        .found(Read::Authorities(name))
        .filter_map(|object| match object {
            Object::ConfigMap(map) => map.spec.authorities.as_deref(),
            _ => None,
        });
    found.next().filter(|pem| has_certificate(pem))
}

/// Whether a text has a certificate in PEM; whether it is sound is for who verifies with it to say.
pub(crate) fn has_certificate(pem: &str) -> bool {
    let mut found = CertificateDer::pem_slice_iter(pem.as_bytes());
    found.any(|certificate| certificate.is_ok())
}
