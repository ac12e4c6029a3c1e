//! Services that policies of action CUSTOM ask: those that Istio's MeshConfig names.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use wattle_api::{
    AuthorizationCheck, Authorizer, BodyInCheck, ConfigMap, ExtensionProvider, HttpAuthorizer, MeshConfig,
    Object, ProviderService, Resource,
};
use wattle_model::{
    Authorization, CheckProtocol, CheckedBody, External, ExternalAuthorizer, HttpCheck, Policy, PolicyRule,
};

use crate::authorization::texts;
use crate::view::View;
use crate::{Read, host};

/// Longest time for an answer where none is written; Istio's is 600 s.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Status where the service does not answer (Envoy).
const STATUS_ON_ERROR: u16 = 403;
/// The namespace of the MeshConfig where the root namespace has none.
const ISTIO: &str = "istio-system";

/// Adds a policy that asks the provider `named`. Nobody can say what an unknown one would have said, so that its
/// workloads are closed (Istio).
pub(crate) fn add(into: &mut Authorization, named: &str, policy: Policy, view: &View<'_>) {
    let Some(authorizer) = authorizer(named, view) else {
        into.deny.push(Policy {
            rules: vec![PolicyRule::default()],
            ..policy
        });
        return;
    };
    let same = into
        .external
        .iter_mut()
        .find(|known| *known.authorizer.name == *named);
    match same {
        Some(known) => known.policies.push(policy),
        None => into.external.push(External {
            authorizer: Arc::new(authorizer),
            policies: vec![policy],
        }),
    }
}

/// The MeshConfig in force: the root namespace's, else that of `istio-system`.
pub(crate) fn mesh_config<'a>(view: &View<'a>) -> Option<(&'a Resource<ConfigMap>, &'a MeshConfig)> {
    let configs: Vec<_> = view
        .found(Read::MeshConfigs)
        .filter_map(|object| match object {
            Object::ConfigMap(found) => Some((found, found.spec.mesh.as_ref()?)),
            _ => None,
        })
        .collect();
    let of = |namespace: &str| {
        configs
            .iter()
            .find(|(map, _)| *map.meta.namespace == *namespace)
            .copied()
    };
    of(&view.settings.root_namespace).or_else(|| of(ISTIO))
}

/// The provider of this name, if there is one that can be asked.
pub(crate) fn authorizer(name: &str, view: &View<'_>) -> Option<ExternalAuthorizer> {
    let (map, config) = mesh_config(view)?;
    let mut providers = config.extension_providers.iter();
    let provider = providers.find(|provider| provider.name == name)?;
    compile(provider, &map.meta.namespace, view)
}

fn compile(
    provider: &ExtensionProvider,
    namespace: &Arc<str>,
    view: &View<'_>,
) -> Option<ExternalAuthorizer> {
    let common = common(&provider.check);
    let host = qualified(&common.service, namespace, view)?;
    Some(ExternalAuthorizer {
        name: provider.name.as_str().into(),
        service: format!("{host}:{}", common.port).into(),
        protocol: match &provider.check {
            AuthorizationCheck::Grpc(_) => CheckProtocol::Grpc,
            AuthorizationCheck::Http(check) => CheckProtocol::Http(Box::new(http_check(check))),
        },
        timeout: common.timeout.unwrap_or(TIMEOUT),
        fail_open: common.fail_open,
        status_on_error: common.status_on_error.unwrap_or(STATUS_ON_ERROR),
        body: common.include_request_body_in_check.map(body),
    })
}

/// What both protocols have.
pub(crate) fn common(check: &AuthorizationCheck) -> &Authorizer {
    match check {
        AuthorizationCheck::Grpc(common) => common,
        AuthorizationCheck::Http(check) => &check.common,
    }
}

/// The host of the service; `None` when it is that of a Service in another namespace than is written before it.
pub(crate) fn qualified(
    service: &ProviderService,
    namespace: &Arc<str>,
    view: &View<'_>,
) -> Option<Arc<str>> {
    let within = service.namespace.as_deref().map(Arc::from);
    if !service.host.contains('.') {
        let within = within.unwrap_or_else(|| Arc::clone(namespace));
        return Some(host::qualified(
            &(within, service.host.as_str().into()),
            view.settings,
        ));
    }
    let domain = format!(".svc.{}", view.settings.cluster_domain);
    if service.host.ends_with(&domain) || service.host.ends_with(".svc") {
        let named = host::service(&service.host, namespace, view.settings)?;
        if within.is_some_and(|within: Arc<str>| within != named.0) {
            return None;
        }
        return Some(host::qualified(&named, view.settings));
    }
    Some(service.host.as_str().into())
}

fn http_check(check: &HttpAuthorizer) -> HttpCheck {
    let added = check.include_additional_headers_in_check.iter();
    HttpCheck {
        path_prefix: check.path_prefix.as_str().into(),
        shown: texts(&check.include_request_headers_in_check),
        added: added
            .filter_map(|(name, value)| {
                Some((
                    HeaderName::from_bytes(name.as_bytes()).ok()?,
                    HeaderValue::from_str(value).ok()?,
                ))
            })
            .collect(),
        to_upstream: texts(&check.headers_to_upstream_on_allow),
        to_downstream_on_deny: texts(&check.headers_to_downstream_on_deny),
        to_downstream_on_allow: texts(&check.headers_to_downstream_on_allow),
    }
}

fn body(written: BodyInCheck) -> CheckedBody {
    CheckedBody {
        max_bytes: written.max_request_bytes,
        allow_partial: written.allow_partial_message,
        as_bytes: written.pack_as_bytes,
    }
}
