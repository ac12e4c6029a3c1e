//! Decoding of an AuthorizationPolicy.

use super::{Account, Action, AuthorizationPolicy, Operation, Provider, Rule, Source, TargetRef};
use crate::condition::condition;
use crate::decode::{Cursor, Decoded, Fields};
use crate::matcher::{Values, path_pattern, text_match};
use crate::peer::selector;
use crate::scalar::{self, Port};
use crate::tree::{Value, quote};

/// Most rules of a policy, and most items of any list in it.
const MAX_ITEMS: usize = 1024;
/// Most target references (Istio).
const MAX_TARGETS: usize = 16;
/// Most service accounts of one source (Istio).
const MAX_ACCOUNTS: usize = 16;

pub(crate) fn authorization_policy(cursor: &Cursor<'_>) -> Decoded<AuthorizationPolicy> {
    let fields = cursor.fields(&[
        "selector",
        "targetRef",
        "targetRefs",
        "action",
        "provider",
        "rules",
    ])?;
    let selector = fields.optional("selector", selector);
    let single = fields.optional("targetRef", target_ref);
    let several = fields.list("targetRefs", MAX_TARGETS, target_ref);
    let action = fields.optional("action", action);
    let provider = fields.optional("provider", provider);
    let rules = fields.list("rules", MAX_ITEMS, rule);
    let mut target_refs = several?;
    target_refs.extend(single?);
    let policy = AuthorizationPolicy {
        selector: selector?.flatten(),
        target_refs,
        action: action?.unwrap_or_default(),
        provider: provider?,
        rules: rules?,
    };
    check(&policy, &fields)?;
    Ok(policy)
}

fn check(policy: &AuthorizationPolicy, fields: &Fields<'_>) -> Decoded<()> {
    if fields.at("selector").is_some() && !policy.target_refs.is_empty() {
        return Err(fields.refuse(
            "incompatible-fields",
            "selector and targetRefs exclude each other",
        ));
    }
    if (policy.action == Action::Custom) != policy.provider.is_some() {
        return Err(fields.refuse(
            "incompatible-fields",
            "action CUSTOM and provider need each other",
        ));
    }
    if policy.action == Action::Deny && policy.rules.is_empty() {
        fields.warn(
            "no-effect",
            "a DENY policy without rules never matches",
            "add a rule; {} matches everything",
        );
    }
    Ok(())
}

fn action(cursor: &Cursor<'_>) -> Decoded<Action> {
    let actions = [
        ("ALLOW", Action::Allow),
        ("DENY", Action::Deny),
        ("AUDIT", Action::Audit),
        ("CUSTOM", Action::Custom),
    ];
    scalar::word(cursor, &actions)
}

fn provider(cursor: &Cursor<'_>) -> Decoded<Provider> {
    let fields = cursor.fields(&["name"])?;
    Ok(Provider {
        name: fields.required("name", scalar::filled)?,
    })
}

pub(crate) fn target_ref(cursor: &Cursor<'_>) -> Decoded<TargetRef> {
    let fields = cursor.fields(&["group", "kind", "name", "namespace"])?;
    let group = fields.optional("group", scalar::text);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.required("name", scalar::subdomain);
    if let Some(namespace) = fields.at("namespace") {
        return Err(namespace.refuse(
            "incompatible-fields",
            "a target is always in the policy's own namespace",
        ));
    }
    Ok(TargetRef {
        group: group?.unwrap_or_default(),
        kind: kind?,
        name: name?,
    })
}

fn rule(cursor: &Cursor<'_>) -> Decoded<Rule> {
    let fields = cursor.fields(&["from", "to", "when"])?;
    let from = some_of(&fields, "from", MAX_ITEMS, |at| {
        at.fields(&["source"])?.required("source", source)
    });
    let to = some_of(&fields, "to", MAX_ITEMS, |at| {
        at.fields(&["operation"])?.required("operation", operation)
    });
    let when = some_of(&fields, "when", MAX_ITEMS, condition);
    Ok(Rule {
        from: from?,
        to: to?,
        when: when?,
    })
}

/// A list that is either absent or has at least one item.
pub(crate) fn some_of<T>(
    fields: &Fields<'_>,
    key: &str,
    most: usize,
    decode: impl Fn(&Cursor<'_>) -> Decoded<T>,
) -> Decoded<Vec<T>> {
    let Some(cursor) = fields.written(key) else {
        return Ok(Vec::new());
    };
    match &cursor.node.value {
        Value::List(items) if !items.is_empty() => cursor.list(most, decode),
        Value::List(_) | Value::Null => {
            let reason = "found no item, expected at least one";
            Err(cursor.refuse_with("empty", reason, "remove the field if anything may match"))
        }
        _ => Err(cursor.mistyped("a list")),
    }
}

/// A pair of lists: `key` and its `not` twin.
fn values<T>(
    fields: &Fields<'_>,
    keys: (&str, &str),
    decode: impl Fn(&Cursor<'_>) -> Decoded<T>,
) -> Decoded<Values<T>> {
    let any = some_of(fields, keys.0, MAX_ITEMS, &decode);
    let not = some_of(fields, keys.1, MAX_ITEMS, &decode);
    Ok(Values { any: any?, not: not? })
}

const SOURCE_FIELDS: &[&str] = &[
    "principals",
    "notPrincipals",
    "requestPrincipals",
    "notRequestPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
    "trustDomains",
    "notTrustDomains",
];

fn source(cursor: &Cursor<'_>) -> Decoded<Source> {
    let fields = cursor.fields(SOURCE_FIELDS)?;
    let principals = values(&fields, ("principals", "notPrincipals"), text_match);
    let request_principals = values(&fields, ("requestPrincipals", "notRequestPrincipals"), text_match);
    let namespaces = values(&fields, ("namespaces", "notNamespaces"), text_match);
    let service_accounts = values(&fields, ("serviceAccounts", "notServiceAccounts"), account);
    let ip_blocks = values(&fields, ("ipBlocks", "notIpBlocks"), scalar::ip_block);
    let remote_ip_blocks = values(&fields, ("remoteIpBlocks", "notRemoteIpBlocks"), scalar::ip_block);
    let trust_domains = values(&fields, ("trustDomains", "notTrustDomains"), text_match);
    let source = Source {
        principals: principals?,
        request_principals: request_principals?,
        namespaces: namespaces?,
        service_accounts: service_accounts?,
        ip_blocks: ip_blocks?,
        remote_ip_blocks: remote_ip_blocks?,
        trust_domains: trust_domains?,
    };
    check_source(&source, cursor)?;
    Ok(source)
}

fn check_source(source: &Source, cursor: &Cursor<'_>) -> Decoded<()> {
    if *source == Source::default() {
        let reason = "found no field, expected at least one";
        return Err(cursor.refuse_with("missing-field", reason, "remove from if any source may match"));
    }
    let accounts = &source.service_accounts;
    if accounts.any.len() > MAX_ACCOUNTS || accounts.not.len() > MAX_ACCOUNTS {
        return Err(cursor.refuse(
            "too-many",
            format!("expected at most {MAX_ACCOUNTS} service accounts"),
        ));
    }
    let others = [&source.principals, &source.namespaces];
    if !accounts.is_empty() && others.iter().any(|values| !values.is_empty()) {
        return Err(cursor.refuse(
            "incompatible-fields",
            "serviceAccounts excludes principals and namespaces",
        ));
    }
    Ok(())
}

fn account(cursor: &Cursor<'_>) -> Decoded<Account> {
    let text = scalar::text(cursor)?;
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, text.as_str()),
    };
    if !scalar::is_subdomain(name)
        || namespace
            .as_deref()
            .is_some_and(|namespace| !scalar::is_label(namespace))
    {
        let reason = format!(
            "found {}, expected NAMESPACE/ACCOUNT or ACCOUNT without wildcards",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-name", reason));
    }
    Ok(Account {
        namespace,
        name: name.to_owned(),
    })
}

const OPERATION_FIELDS: &[&str] = &[
    "hosts",
    "notHosts",
    "ports",
    "notPorts",
    "methods",
    "notMethods",
    "paths",
    "notPaths",
];

fn operation(cursor: &Cursor<'_>) -> Decoded<Operation> {
    let fields = cursor.fields(OPERATION_FIELDS)?;
    let hosts = values(&fields, ("hosts", "notHosts"), text_match);
    let ports = values(&fields, ("ports", "notPorts"), text_port);
    let methods = values(&fields, ("methods", "notMethods"), text_match);
    let paths = values(&fields, ("paths", "notPaths"), path_pattern);
    let operation = Operation {
        hosts: hosts?,
        ports: ports?,
        methods: methods?,
        paths: paths?,
    };
    if operation == Operation::default() {
        let reason = "found no field, expected at least one";
        return Err(cursor.refuse_with("missing-field", reason, "remove to if any operation may match"));
    }
    Ok(operation)
}

/// Istio writes ports as text; a number means the same.
pub(crate) fn text_port(cursor: &Cursor<'_>) -> Decoded<Port> {
    let Some(text) = cursor.node.text() else {
        return scalar::port(cursor);
    };
    text.parse().ok().and_then(Port::new).ok_or_else(|| {
        let reason = format!("found {}, expected a port from 1 to 65535", quote(text));
        cursor.refuse("out-of-range", reason)
    })
}
