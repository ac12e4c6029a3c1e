//! Istio's AuthorizationPolicies that select a workload, beside the gates that Linkerd's make. What cannot be evaluated is marked, and the model fails closed on it.

use std::sync::Arc;

use ipnet::IpNet;
use wattle_api::{
    Account, Action, AuthorizationPolicy, AuthorizationRule, Condition as When, ConditionKey, Kind, Labels,
    Meta, PathPattern, Resource, Selector, TargetRef, TextMatch as Text,
};
use wattle_model::{
    Attribute, Authorization, Condition, IpBlock, Operation, Pattern, Policy, PolicyRule, Source, TextMatch,
};

use crate::linkerd::gate;
use crate::route::{object_ref, unread};
use crate::view::{View, selects};
use crate::{Instance, Settings, external};

/// Istio's annotation of a policy that is tried only.
const DRY_RUN: &str = "istio.io/dry-run";

/// The policies of a workload: of the root namespace, then of its own, by name.
pub(crate) fn of(instance: &Instance, view: &View<'_>) -> Authorization {
    let root = &view.settings.root_namespace;
    let own = &instance.key.namespace;
    let mesh_wide = (root != own).then(|| view.authorization_policies(root));
    let policies = mesh_wide
        .into_iter()
        .flatten()
        .chain(view.authorization_policies(own));
    let mut authorization = Authorization {
        deny: unreadable(instance, view),
        gates: gate::of(instance, view),
        ..Authorization::default()
    };
    let mut dry_run = Authorization::default();
    for policy in policies.filter(|policy| selected(policy, instance, view)) {
        let compiled = compile(policy, view.settings);
        let tried = is_dry_run(&policy.meta.annotations);
        if policy.spec.action == Action::Custom {
            // Nobody is asked for a trial.
            if !tried {
                let provider = policy.spec.provider.as_ref();
                let named = provider.map_or("", |provider| provider.name.as_str());
                external::add(&mut authorization, named, compiled, view);
            }
            continue;
        }
        let into = if tried { &mut dry_run } else { &mut authorization };
        match policy.spec.action {
            Action::Allow => into.allow.push(compiled),
            Action::Deny | Action::Custom => into.deny.push(compiled),
            Action::Audit => into.audit.push(compiled),
        }
    }
    if dry_run != Authorization::default() {
        authorization.dry_run = Some(Arc::new(dry_run));
    }
    authorization
}

/// A policy that is tried only, by its annotation; only `true` says so (Istio).
pub(crate) fn is_dry_run(annotations: &Labels) -> bool {
    annotations.get(DRY_RUN).is_some_and(|said| said == "true")
}

/// A policy that nobody can read might refuse anything, so that it refuses everything; a limit of rate too.
fn unreadable(instance: &Instance, view: &View<'_>) -> Vec<Policy> {
    let own = &instance.key.namespace;
    let root = Some(&view.settings.root_namespace).filter(|root| *root != own);
    let keys = root
        .into_iter()
        .chain([own])
        .flat_map(|namespace| view.unreadable_authorization(namespace));
    let limits = [Kind::RateLimit, Kind::LocalRateLimit, Kind::Server];
    let keys = keys.chain(limits.into_iter().filter_map(|kind| view.unreadable(kind, own)));
    let refusing = |key: &wattle_api::ObjectKey| Policy {
        origin: unread(key),
        rules: vec![PolicyRule {
            unsupported: Some("a policy that cannot be read".into()),
            ..PolicyRule::default()
        }],
    };
    keys.map(refusing).collect()
}

/// True when the policy is for the workload: by its selector, by a Service that has the workload behind it, or because
/// it names neither.
pub(crate) fn selected(policy: &Resource<AuthorizationPolicy>, instance: &Instance, view: &View<'_>) -> bool {
    let spec = &policy.spec;
    is_for(
        &policy.meta,
        spec.selector.as_ref(),
        &spec.target_refs,
        instance,
        view,
    )
}

/// The same for a policy of any kind.
pub(crate) fn is_for(
    meta: &Meta,
    selector: Option<&Selector>,
    targets: &[TargetRef],
    instance: &Instance,
    view: &View<'_>,
) -> bool {
    if let Some(selector) = selector {
        return selector.selects(&instance.labels);
    }
    targets.is_empty()
        || targets.iter().any(|target| {
            let service = (Arc::clone(&meta.namespace), Arc::from(&*target.name));
            let found = (target.group.is_empty() && target.kind == "Service")
                .then(|| view.service(&service))
                .flatten();
            let behind =
                |labels: &wattle_api::Labels| !labels.is_empty() && selects(labels, &instance.labels);
            meta.namespace == instance.key.namespace
                && found.is_some_and(|found| behind(&found.spec.selector))
        })
}

fn compile(policy: &Resource<AuthorizationPolicy>, settings: &Settings) -> Policy {
    let rule = |rule: &AuthorizationRule| self::rule(rule, &policy.meta.namespace, settings);
    Policy {
        origin: object_ref(&policy.meta, Kind::AuthorizationPolicy, &policy.origin),
        rules: policy.spec.rules.iter().map(rule).collect(),
    }
}

/// One rule; `unsupported` names the first field that cannot be evaluated.
pub(crate) fn rule(written: &AuthorizationRule, namespace: &str, settings: &Settings) -> PolicyRule {
    let mut rule = PolicyRule::default();
    let mut lost = Lost(None);
    rule.from = written
        .from
        .iter()
        .map(|from| source(from, namespace, settings))
        .collect();
    rule.to = written.to.iter().map(|to| operation(to, &mut lost)).collect();
    rule.when = written
        .when
        .iter()
        .filter_map(|when| condition(when, namespace, settings, &mut lost))
        .collect();
    rule.unsupported = lost.0;
    rule
}

/// The first field that could not be carried over.
struct Lost(Option<Box<str>>);

impl Lost {
    fn when(&mut self, lost: bool, field: &str) {
        if lost && self.0.is_none() {
            self.0 = Some(field.into());
        }
    }
}

fn source(written: &wattle_api::Source, namespace: &str, settings: &Settings) -> Source {
    let principal = |text: &Text| self::principal(text, settings);
    let account = |account: &Account| {
        let namespace = account.namespace.as_deref().unwrap_or(namespace);
        TextMatch::Exact(format!("{namespace}/{}", account.name).into())
    };
    let domain = |text: &Text| trust_domain(text, settings);
    Source {
        principals: written.principals.any.iter().map(principal).collect(),
        not_principals: written.principals.not.iter().map(principal).collect(),
        namespaces: texts(&written.namespaces.any),
        not_namespaces: texts(&written.namespaces.not),
        service_accounts: written.service_accounts.any.iter().map(account).collect(),
        not_service_accounts: written.service_accounts.not.iter().map(account).collect(),
        trust_domains: written.trust_domains.any.iter().map(domain).collect(),
        not_trust_domains: written.trust_domains.not.iter().map(domain).collect(),
        request_principals: texts(&written.request_principals.any),
        not_request_principals: texts(&written.request_principals.not),
        ip_blocks: blocks(&written.ip_blocks.any),
        not_ip_blocks: blocks(&written.ip_blocks.not),
        remote_ip_blocks: blocks(&written.remote_ip_blocks.any),
        not_remote_ip_blocks: blocks(&written.remote_ip_blocks.not),
    }
}

fn blocks(written: &[IpNet]) -> Vec<IpBlock> {
    written.iter().map(block).collect()
}

pub(crate) fn block(written: &IpNet) -> IpBlock {
    IpBlock {
        address: written.addr(),
        prefix_len: written.prefix_len(),
    }
}

/// `cluster.local` is the mesh's own trust domain, as in a principal.
fn trust_domain(written: &Text, settings: &Settings) -> TextMatch {
    match written {
        Text::Exact(domain) if domain == "cluster.local" => {
            TextMatch::Exact(settings.trust_domain.to_string().into())
        }
        other => text(other),
    }
}

fn operation(written: &wattle_api::Operation, lost: &mut Lost) -> Operation {
    // All or none: a list that lost an entry would let through what a DENY rule was written to refuse.
    let mut paths = |patterns: &[PathPattern]| {
        let paths: Option<Vec<_>> = patterns.iter().map(path).collect();
        lost.when(paths.is_none(), "to.operation.paths");
        paths.unwrap_or_default()
    };
    Operation {
        paths: paths(&written.paths.any),
        not_paths: paths(&written.paths.not),
        hosts: texts(&written.hosts.any),
        not_hosts: texts(&written.hosts.not),
        ports: written.ports.any.iter().map(|port| port.number()).collect(),
        not_ports: written.ports.not.iter().map(|port| port.number()).collect(),
        methods: texts(&written.methods.any),
        not_methods: texts(&written.methods.not),
    }
}

fn condition(written: &When, namespace: &str, settings: &Settings, lost: &mut Lost) -> Option<Condition> {
    let attribute = Attribute::parse(&written.key.to_string());
    if !attribute.is_supported() {
        lost.when(true, &format!("when[{attribute}]"));
        return None;
    }
    let mut condition = Condition {
        attribute,
        values: Vec::new(),
        not_values: Vec::new(),
        blocks: Vec::new(),
        not_blocks: Vec::new(),
    };
    let (any, not) = (&written.values.any, &written.values.not);
    if condition.attribute.is_address() {
        let mut blocks = |list: &[String]| {
            let blocks: Option<Vec<_>> = list.iter().map(|text| IpBlock::parse(text)).collect();
            lost.when(blocks.is_none(), &format!("when[{}]", written.key));
            blocks.unwrap_or_default()
        };
        condition.blocks = blocks(any);
        condition.not_blocks = blocks(not);
    } else {
        let value = |value: &String| value_of(&written.key, value, namespace, settings);
        condition.values = any.iter().map(value).collect();
        condition.not_values = not.iter().map(value).collect();
    }
    Some(condition)
}

fn value_of(key: &ConditionKey, value: &str, namespace: &str, settings: &Settings) -> TextMatch {
    match key {
        // Ports and accounts are meant as written: a star is nothing special in them.
        ConditionKey::DestinationPort => TextMatch::Exact(value.into()),
        ConditionKey::SourceServiceAccount if !value.contains('/') => {
            TextMatch::Exact(format!("{namespace}/{value}").into())
        }
        ConditionKey::SourcePrincipal => principal(&Text::new(value), settings),
        ConditionKey::SourceTrustDomain => trust_domain(&Text::new(value), settings),
        _ => text(&Text::new(value)),
    }
}

/// `cluster.local` in a policy is the mesh's own trust domain, whatever that is called, and so are its aliases (Istio).
pub(crate) fn principal(written: &Text, settings: &Settings) -> TextMatch {
    let own = |text: &str| {
        let text = text.strip_prefix("spiffe://").unwrap_or(text);
        let aliases = &settings.trust_domain_aliases;
        let is_own =
            |domain: &str| domain == "cluster.local" || aliases.iter().any(|alias| **alias == *domain);
        match text.split_once('/').filter(|(domain, _)| is_own(domain)) {
            Some((_, rest)) => format!("{}/{rest}", settings.trust_domain),
            None => text.to_owned(),
        }
    };
    match written {
        Text::Exact(text) => TextMatch::Exact(own(text).into()),
        Text::Prefix(text) => TextMatch::Prefix(own(text).into()),
        other => self::text(other),
    }
}

pub(crate) fn texts(written: &[Text]) -> Vec<TextMatch> {
    written.iter().map(text).collect()
}

fn text(written: &Text) -> TextMatch {
    match written {
        Text::Present => TextMatch::Present,
        Text::Exact(text) => TextMatch::Exact(text.as_str().into()),
        Text::Prefix(text) => TextMatch::Prefix(text.as_str().into()),
        Text::Suffix(text) => TextMatch::Suffix(text.as_str().into()),
    }
}

fn path(written: &PathPattern) -> Option<TextMatch> {
    let template = match written {
        PathPattern::Text(written) => return Some(text(written)),
        PathPattern::Template(template) => template,
    };
    let elements = template.split('/').map(|element| match element {
        "{*}" => "[^/]+".to_owned(),
        "{**}" => ".*".to_owned(),
        literal => regex::escape(literal),
    });
    Pattern::new(&elements.collect::<Vec<_>>().join("/"))
        .ok()
        .map(TextMatch::Regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_own_trust_domain_means_the_same_in_a_principal() {
        let settings = Settings {
            trust_domain: "new.example".into(),
            trust_domain_aliases: vec!["old.example".into()],
            ..Settings::default()
        };
        for (written, meant) in [
            ("cluster.local/ns/a/sa/b", "new.example/ns/a/sa/b"),
            ("old.example/ns/a/sa/b", "new.example/ns/a/sa/b"),
            ("spiffe://old.example/ns/a/sa/b", "new.example/ns/a/sa/b"),
            ("other.example/ns/a/sa/b", "other.example/ns/a/sa/b"),
        ] {
            let exact = principal(&Text::Exact(written.to_owned()), &settings);
            assert_eq!(exact, TextMatch::Exact(meant.into()), "{written}");
        }
        let prefix = principal(&Text::Prefix("old.example/ns/a/".to_owned()), &settings);
        assert_eq!(prefix, TextMatch::Prefix("new.example/ns/a/".into()));
    }
}
