//! AuthorizationPolicies that select a workload. What cannot be evaluated is marked, and the model fails closed on it.

use std::sync::Arc;

use wattle_api::{
    Account, Action, AuthorizationPolicy, AuthorizationRule, Condition as When, ConditionKey, Kind,
    PathPattern, Resource, TextMatch as Text, Values,
};
use wattle_model::{
    Authorization, Condition, IpBlock, Operation, Pattern, Policy, PolicyRule, Source, TextMatch,
};

use crate::linkerd::server;
use crate::route::{object_ref, unread};
use crate::view::{View, selects};
use crate::{Instance, Settings};

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
        allow: Vec::new(),
    };
    authorization.deny.extend(server::refusals(instance, view));
    for policy in policies.filter(|policy| selected(policy, instance, view)) {
        let compiled = compile(policy, view.settings);
        match policy.spec.action {
            Action::Allow => authorization.allow.push(compiled),
            // Without a provider to ask, what would be asked about is refused.
            Action::Deny | Action::Custom => authorization.deny.push(compiled),
            Action::Audit => {}
        }
    }
    authorization
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
    if let Some(selector) = &policy.spec.selector {
        return selector.selects(&instance.labels);
    }
    policy.spec.target_refs.is_empty()
        || policy.spec.target_refs.iter().any(|target| {
            let service = (Arc::clone(&policy.meta.namespace), Arc::from(&*target.name));
            let found = (target.group.is_empty() && target.kind == "Service")
                .then(|| view.service(&service))
                .flatten();
            let behind =
                |labels: &wattle_api::Labels| !labels.is_empty() && selects(labels, &instance.labels);
            policy.meta.namespace == instance.key.namespace
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
        .map(|from| source(from, namespace, settings, &mut lost))
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

fn source(written: &wattle_api::Source, namespace: &str, settings: &Settings, lost: &mut Lost) -> Source {
    lost.when(
        !written.request_principals.is_empty(),
        "from.source.requestPrincipals",
    );
    lost.when(!written.remote_ip_blocks.is_empty(), "from.source.remoteIpBlocks");
    let principal = |text: &Text| self::principal(text, settings);
    let account = |account: &Account| {
        let namespace = account.namespace.as_deref().unwrap_or(namespace);
        TextMatch::Exact(format!("{namespace}/{}", account.name).into())
    };
    let mut blocks = |blocks: &[_]| {
        let parsed: Option<Vec<_>> = blocks
            .iter()
            .map(|block: &_| IpBlock::parse(&ToString::to_string(block)))
            .collect();
        lost.when(parsed.is_none(), "from.source.ipBlocks");
        parsed.unwrap_or_default()
    };
    let mut source = Source {
        principals: written.principals.any.iter().map(principal).collect(),
        not_principals: written.principals.not.iter().map(principal).collect(),
        namespaces: texts(&written.namespaces.any),
        not_namespaces: texts(&written.namespaces.not),
        service_accounts: written.service_accounts.any.iter().map(account).collect(),
        not_service_accounts: written.service_accounts.not.iter().map(account).collect(),
        ip_blocks: blocks(&written.ip_blocks.any),
        not_ip_blocks: blocks(&written.ip_blocks.not),
    };
    trust_domains(&mut source, &written.trust_domains, settings, lost);
    source
}

/// A trust domain is the first part of a principal; together with a list of principals it cannot be said.
fn trust_domains(source: &mut Source, written: &Values<Text>, settings: &Settings, lost: &mut Lost) {
    let within = |text: &Text| match text {
        Text::Exact(domain) => Some(principal(&Text::Prefix(format!("{domain}/")), settings)),
        Text::Prefix(start) => Some(TextMatch::Prefix(start.as_str().into())),
        Text::Present => Some(TextMatch::Present),
        Text::Suffix(_) => None,
    };
    let any: Option<Vec<_>> = written.any.iter().map(within).collect();
    let not: Option<Vec<_>> = written.not.iter().map(within).collect();
    let sayable = any.is_some() && not.is_some() && (written.any.is_empty() || source.principals.is_empty());
    lost.when(!sayable, "from.source.trustDomains");
    if let (true, Some(any), Some(not)) = (sayable, any, not) {
        source.principals.extend(any);
        source.not_principals.extend(not);
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
    let key = written.key.to_string();
    if !Condition::is_supported(&key) {
        lost.when(true, &format!("when[{key}]"));
        return None;
    }
    let value = |value: &String| match written.key {
        // Addresses, ports and accounts are meant as written: a star is nothing special in them.
        ConditionKey::SourceIp | ConditionKey::DestinationPort => TextMatch::Exact(value.as_str().into()),
        ConditionKey::SourceServiceAccount if !value.contains('/') => {
            TextMatch::Exact(format!("{namespace}/{value}").into())
        }
        ConditionKey::SourcePrincipal => principal(&Text::new(value), settings),
        _ => text(&Text::new(value)),
    };
    Some(Condition {
        key: key.into(),
        values: written.values.any.iter().map(value).collect(),
        not_values: written.values.not.iter().map(value).collect(),
    })
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

fn texts(written: &[Text]) -> Vec<TextMatch> {
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
