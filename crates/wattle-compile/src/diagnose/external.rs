//! Services that policies ask: whether their providers, and they themselves, are there.

use wattle_api::{Action, AuthorizationPolicy, ConfigMap, NormalizationType, Resource};

use super::Findings;
use crate::authorization::is_dry_run;
use crate::external::{self, common, mesh_config, qualified};
use crate::view::View;

/// A policy of action CUSTOM needs a provider.
pub(super) fn check_policy(
    policy: &Resource<AuthorizationPolicy>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    if policy.spec.action != Action::Custom {
        return;
    }
    if is_dry_run(&policy.meta.annotations) {
        let reason = "a policy with action CUSTOM cannot be tried only; nobody is asked".to_owned();
        let hint = "remove the annotation istio.io/dry-run to put it in force";
        return findings.error("action-not-supported", "spec.action", reason, hint);
    }
    let named = policy
        .spec
        .provider
        .as_ref()
        .map_or("", |provider| provider.name.as_str());
    if external::authorizer(named, view).is_some() {
        return;
    }
    let found = match mesh_config(view) {
        Some((map, config)) => {
            let providers = config.extension_providers.iter();
            let names: Vec<_> = providers.map(|provider| provider.name.as_str()).collect();
            format!(
                "the MeshConfig in {} has {}",
                map.meta.namespace,
                match names.is_empty() {
                    true => "none".to_owned(),
                    false => names.join(", "),
                }
            )
        }
        None => "there is no MeshConfig".to_owned(),
    };
    let reason = format!(
        "no service can be asked by the name {named}: {found}; all requests to the workloads are refused"
    );
    let hint = "name an entry of extensionProviders in the ConfigMap istio";
    findings.error("provider-not-found", "spec.provider.name", reason, hint);
}

pub(super) fn check_config(map: &Resource<ConfigMap>, view: &View<'_>, findings: &mut Findings<'_>) {
    let Some(config) = &map.spec.mesh else { return };
    let in_force = mesh_config(view).is_some_and(|(found, _)| found.meta.namespace == map.meta.namespace);
    if !in_force {
        let root = &view.settings.root_namespace;
        let reason = format!(
            "the MeshConfig is read in namespace {root}, else in istio-system; this one has no effect"
        );
        return findings.warn("no-effect", "metadata.namespace", reason, "move it there");
    }
    let said = config.path_normalization.map(|said| said.normalization);
    if said == Some(NormalizationType::None) {
        let reason = "policies compare the normal form of paths all the same; applications get them as sent";
        let field = "data.mesh.pathNormalization.normalization";
        findings.info("paths-as-sent", field, reason.to_owned());
    }
    let known = view.known_hosts();
    for (index, provider) in config.extension_providers.iter().enumerate() {
        let check = match &provider.check {
            wattle_api::AuthorizationCheck::Http(_) => "envoyExtAuthzHttp",
            wattle_api::AuthorizationCheck::Grpc(_) => "envoyExtAuthzGrpc",
        };
        let service = &common(&provider.check).service;
        let host = qualified(service, &map.meta.namespace, view);
        let is_known = |host: &str| known.iter().any(|(_, known)| **known == *host);
        let short = host
            .as_deref()
            .and_then(|host| crate::host::service(host, &map.meta.namespace, view.settings));
        let found =
            host.as_deref().is_some_and(is_known) || short.is_some_and(|name| view.service(&name).is_some());
        if !found {
            let field = format!("data.mesh.extensionProviders[{index}].{check}.service");
            let reason = format!("there is no Service or ServiceEntry {service}; its requests fail");
            findings.error("service-not-found", &field, reason, "check namespace and host");
        }
    }
}
