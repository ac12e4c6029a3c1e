//! Whose tokens a workload takes: Istio's RequestAuthentications that select it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use wattle_api::{Diagnostic, Finding, JwtRule, Kind, Object, RequestAuthentication, Resource, Severity};
use wattle_model::{ClaimHeader, TokenLocation, TokenRule};

use crate::authorization::is_for;
use crate::route::{object_ref, unread};
use crate::view::View;
use crate::{Instance, Mesh, Read};

/// Longest time for fetching keys where none is written.
const TIMEOUT: Duration = Duration::from_secs(5);

type Policy = Resource<RequestAuthentication>;

/// The rules of a workload: of the root namespace, then of its own.
///
/// Nobody knows whose tokens a policy takes that cannot be read: it takes none.
pub(crate) fn of(instance: &Instance, view: &View<'_>) -> Vec<TokenRule> {
    let root = &view.settings.root_namespace;
    let own = &instance.key.namespace;
    let mut rules = Vec::new();
    for namespace in Some(root).filter(|root| *root != own).into_iter().chain([own]) {
        if let Some(key) = view.unreadable(Kind::RequestAuthentication, namespace) {
            rules.push(TokenRule::bearer(unread(key)));
        }
        for policy in policies(namespace, view) {
            let spec = &policy.spec;
            if is_for(
                &policy.meta,
                spec.selector.as_ref(),
                &spec.target_refs,
                instance,
                view,
            ) {
                rules.extend(spec.jwt_rules.iter().map(|rule| compile(policy, rule, view)));
            }
        }
    }
    rules
}

/// Somewhere that keys are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAddress {
    /// Longest time for fetching them: the longest that a rule gives.
    pub time: Duration,
    /// Namespaces of the policies that want them.
    pub namespaces: BTreeSet<Arc<str>>,
    /// Each of these namespaces takes Istio's defaults, by which they may come in plaintext.
    pub plaintext: bool,
}

impl Mesh {
    /// Every address that a RequestAuthentication takes keys from, each once.
    pub fn key_addresses(&self) -> BTreeMap<Arc<str>, KeyAddress> {
        let view = self.view();
        let mut addresses: BTreeMap<Arc<str>, KeyAddress> = BTreeMap::new();
        for object in self.objects() {
            let Object::RequestAuthentication(policy) = object else {
                continue;
            };
            for rule in policy.spec.jwt_rules.iter().filter(|rule| rule.jwks.is_none()) {
                let time = rule.timeout.unwrap_or(TIMEOUT);
                let wanted = addresses.entry(address(rule)).or_default();
                wanted.time = time.max(wanted.time);
                wanted.namespaces.insert(Arc::clone(&policy.meta.namespace));
            }
        }
        for wanted in addresses.values_mut() {
            let mut namespaces = wanted.namespaces.iter();
            wanted.plaintext = namespaces.all(|namespace| view.has_istio_defaults(namespace));
        }
        addresses
    }

    /// What is to be said of objects whose keys could not be fetched, for reasons by address.
    pub fn missing_keys(&self, problems: &BTreeMap<Arc<str>, String>) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for object in self.objects() {
            let Object::RequestAuthentication(policy) = object else {
                continue;
            };
            let rules = policy.spec.jwt_rules.iter().enumerate();
            for (index, rule) in rules.filter(|(_, rule)| rule.jwks.is_none()) {
                let Some(problem) = problems.get(&address(rule)) else {
                    continue;
                };
                let field = format!("spec.jwtRules[{index}]");
                let finding = Finding::new("keys-not-fetched", policy.origin.at, field, problem.as_str())
                    .hint("check that the control plane reaches the address, or write the keys in `jwks`");
                found.push(finding.about(
                    Severity::Warning,
                    Some(object.key()),
                    Arc::clone(&policy.origin.file),
                ));
            }
        }
        found
    }
}

fn policies<'a>(namespace: &Arc<str>, view: &View<'a>) -> impl Iterator<Item = &'a Policy> + use<'a> {
    let found = view.found(Read::RequestAuthentications(Arc::clone(namespace)));
    found.filter_map(|object| match object {
        Object::RequestAuthentication(policy) => Some(policy),
        _ => None,
    })
}

fn compile(policy: &Policy, rule: &JwtRule, view: &View<'_>) -> TokenRule {
    let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    let payload = rule.output_payload_to_header.as_deref();
    TokenRule {
        origin: object_ref(&policy.meta, Kind::RequestAuthentication, &policy.origin),
        issuer: rule.issuer.as_deref().map(Into::into),
        audiences: texts(&rule.audiences),
        keys: match &rule.jwks {
            Some(keys) => Some(keys.as_str().into()),
            None => view.key_set(&address(rule)),
        },
        locations: locations(rule),
        forward: rule.forward_original_token,
        payload_header: payload.and_then(header),
        claim_headers: rule
            .output_claim_to_headers
            .iter()
            .filter_map(claim_header)
            .collect(),
        space_delimited: texts(&rule.space_delimited_claims),
    }
}

/// Where the keys of a rule are fetched from, or where it is said where they are.
fn address(rule: &JwtRule) -> Arc<str> {
    let issuer = rule.issuer.as_deref().unwrap_or_default();
    match &rule.jwks_uri {
        Some(uri) => uri.as_str().into(),
        None => format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        )
        .into(),
    }
}

/// Where tokens are looked for; where nothing is said, as a bearer token, then as `access_token` of the query.
fn locations(rule: &JwtRule) -> Vec<TokenLocation> {
    let headers = rule.from_headers.iter();
    let headers = headers.filter_map(|from| {
        Some(TokenLocation::Header(
            header(&from.name)?,
            from.prefix.as_str().into(),
        ))
    });
    let params = rule
        .from_params
        .iter()
        .map(|name| TokenLocation::Query(name.as_str().into()));
    let cookies = rule
        .from_cookies
        .iter()
        .map(|name| TokenLocation::Cookie(name.as_str().into()));
    let locations: Vec<_> = headers.chain(params).chain(cookies).collect();
    match locations.is_empty() {
        true => TokenLocation::usual(),
        false => locations,
    }
}

fn header(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

fn claim_header(written: &wattle_api::ClaimToHeader) -> Option<ClaimHeader> {
    Some(ClaimHeader {
        header: header(&written.header)?,
        claim: written.claim.split('.').map(Into::into).collect(),
    })
}
