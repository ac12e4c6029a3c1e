//! Compiled values as text that a person can check against the YAML.

use std::fmt::Write;

use wattle_compile::RouteStatus;
use wattle_model::{
    Action, Asked, Backend, BackendPolicy, Destination, EndpointHealth, Endpoints, Filters, HeaderModifier,
    Hop, Inbound, IpBlock, MtlsMode, NameTarget, Names, ObjectRef, Operation, PathNormalization, PathRewrite,
    Policy, PolicyRule, ServicePort, Source, TextMatch, Workload,
};

/// One line, indented by two spaces a level.
macro_rules! line {
    ($out:expr, $level:expr, $($text:tt)*) => {{
        let _ = writeln!($out, "{}{}", "  ".repeat($level), format_args!($($text)*));
    }};
}

pub(crate) fn destination(found: &Destination) -> String {
    let mut out = String::new();
    let service = found.service.as_ref().map_or("no service".to_owned(), frontend);
    line!(
        out,
        0,
        "destination {}: {service}, {}",
        found.name,
        found.protocol.as_str()
    );
    if found.outside {
        line!(out, 1, "its address is of the outside");
    }
    let default = found
        .default_backend()
        .map_or("none".to_owned(), |(_, backend)| named(backend));
    line!(out, 1, "default backend: {default}");
    for backend in &found.backends {
        line!(
            out,
            1,
            "backend {} speaks {}",
            named(backend),
            backend.protocol.as_str()
        );
        policy(&mut out, &backend.policy);
        if backend.verifies_host {
            line!(out, 2, "only at addresses that DNS gives for the host asked for");
        }
        if let Some(by_name) = &backend.by_name {
            let hosts: Vec<_> = by_name.hosts.iter().map(ToString::to_string).collect();
            line!(
                out,
                2,
                "what DNS gives for {}, port {}",
                hosts.join(" "),
                by_name.port
            );
        }
        for caller in &backend.callers {
            let seen = caller.seen.as_ref();
            let id = seen.map_or("NOTHING", |seen| &*seen.id);
            line!(out, 2, "to callers with {:?}: {id}", caller.labels);
            if let Some(seen) = seen {
                policy(&mut out, &seen.policy);
            }
        }
    }
    for scope in &found.scopes {
        line!(
            out,
            1,
            "scope {:?} by {}: {:?}",
            scope.labels,
            scope.origin,
            scope.access
        );
    }
    for route in &found.connections {
        line!(out, 1, "connections {}: {:?}", route.origin, route.matches);
        for share in found.connection_shares(Some(route)) {
            let target = share.backend.map_or("UNRESOLVED".to_owned(), named);
            line!(out, 2, "{:.1}% {} -> {target}", share.percent, share.written);
        }
    }
    for rule in found.routes.rules() {
        line!(out, 1, "{}: {}", rule.origin, rule.matches);
        filters(&mut out, 2, &rule.filters);
        if rule.timeouts != Default::default() {
            line!(
                out,
                2,
                "timeouts: {:?} {:?}",
                rule.timeouts.request,
                rule.timeouts.backend_request
            );
            if rule.timeouts.response.is_some() || rule.timeouts.idle.is_some() {
                line!(
                    out,
                    2,
                    "response {:?} idle {:?}",
                    rule.timeouts.response,
                    rule.timeouts.idle
                );
            }
        }
        if let Some(retry) = &rule.retry {
            line!(out, 2, "retry {retry:?}");
        }
        if let Some(session) = &rule.session {
            line!(out, 2, "session {session:?}");
        }
        match &*rule.action {
            Action::Respond(response) => line!(
                out,
                2,
                "respond {} {}",
                response.status,
                String::from_utf8_lossy(&response.body)
            ),
            Action::Refuse(reason) => line!(out, 2, "refuse {}", reason.id()),
            Action::Redirect(redirect) => line!(out, 2, "redirect {redirect:?}"),
            Action::Forward(_) => {
                for share in found.shares(Some(rule)) {
                    let target = share.backend.map_or("UNRESOLVED".to_owned(), named);
                    line!(out, 2, "{:.1}% {} -> {target}", share.percent, share.written);
                }
            }
        }
        if let Action::Forward(backends) = &*rule.action {
            for own in backends.iter().filter_map(|backend| backend.filters.as_ref()) {
                line!(out, 2, "backend's own:");
                filters(&mut out, 3, own);
            }
        }
    }
    out
}

fn named(backend: &Backend) -> String {
    if backend.id.is_empty() {
        "(as dialled)".to_owned()
    } else {
        backend.id.to_string()
    }
}

fn frontend(service: &ServicePort) -> String {
    format!("{}:{}", service.host, service.port)
}

fn filters(out: &mut String, level: usize, filters: &Filters) {
    modifier(out, level, "request", &filters.request_headers);
    modifier(out, level, "response", &filters.response_headers);
    if let Some(host) = &filters.rewrite.host {
        line!(out, level, "rewrite host {host}");
    }
    match &filters.rewrite.path {
        Some(PathRewrite::Full(path)) => line!(out, level, "rewrite path {path}"),
        Some(PathRewrite::Prefix(prefix)) => line!(out, level, "rewrite prefix {prefix}"),
        Some(other) => line!(out, level, "rewrite {other:?}"),
        None => {}
    }
    for mirror in &filters.mirrors {
        let lost = if mirror.backend.is_none() {
            " UNRESOLVED"
        } else {
            ""
        };
        line!(
            out,
            level,
            "mirror {} {} ppm{lost}",
            mirror.written,
            mirror.chance.millionths()
        );
    }
    if let Some(cors) = &filters.cors {
        line!(out, level, "{cors:?}");
    }
    if let Some(fault) = &filters.fault {
        line!(out, level, "{fault:?}");
    }
}

/// What differs from a policy that says nothing, field by field.
fn policy(out: &mut String, policy: &BackendPolicy) {
    let none = BackendPolicy::default();
    for origin in &policy.origins {
        line!(out, 2, "policy of {origin}");
    }
    let fields = [
        (format!("{:?}", policy.balance), format!("{:?}", none.balance)),
        (format!("{:?}", policy.warmup), format!("{:?}", none.warmup)),
        (format!("{:?}", policy.locality), format!("{:?}", none.locality)),
        (format!("{:?}", policy.limits), format!("{:?}", none.limits)),
        (format!("{:?}", policy.outliers), format!("{:?}", none.outliers)),
        (
            format!("{:?}", policy.retry_budget),
            format!("{:?}", none.retry_budget),
        ),
        (format!("{:?}", policy.tls), format!("{:?}", none.tls)),
        (
            format!("{:?}", policy.proxy_protocol),
            format!("{:?}", none.proxy_protocol),
        ),
        (format!("{:?}", policy.tunnel), format!("{:?}", none.tunnel)),
        (
            format!("{:?}", policy.health_check),
            format!("{:?}", none.health_check),
        ),
        (
            format!("{:?}", policy.http_version),
            format!("{:?}", none.http_version),
        ),
    ];
    for (said, _) in fields.iter().filter(|(said, none)| said != none) {
        line!(out, 2, "{said}");
    }
}

fn modifier(out: &mut String, level: usize, side: &str, modifier: &HeaderModifier) {
    for (name, value) in &modifier.set {
        line!(out, level, "{side} set {name}: {}", value.to_str().unwrap_or("?"));
    }
    for (name, value) in &modifier.add {
        line!(out, level, "{side} add {name}: {}", value.to_str().unwrap_or("?"));
    }
    for name in &modifier.remove {
        line!(out, level, "{side} remove {name}");
    }
}

pub(crate) fn endpoints(found: &Endpoints) -> String {
    let mut out = String::new();
    line!(out, 0, "endpoints {}", found.id);
    for endpoint in &found.endpoints {
        let hop = match endpoint.hop {
            Hop::Plaintext if endpoint.workload.trust_domain.is_empty() => "plaintext".to_owned(),
            Hop::Plaintext => format!("plaintext, else mTLS as {}", identity(&endpoint.workload)),
            Hop::MutualTls => format!("mTLS as {}", identity(&endpoint.workload)),
        };
        let health = match endpoint.health {
            EndpointHealth::Healthy => "healthy",
            EndpointHealth::Draining => "draining",
            EndpointHealth::Unhealthy => "unhealthy",
        };
        let zone = [
            &endpoint.locality.region,
            &endpoint.locality.zone,
            &endpoint.locality.subzone,
        ];
        let zone = zone.map(|part| &**part).join("/");
        line!(
            out,
            1,
            "{} weight {} {health} {zone} {hop}",
            endpoint.address,
            endpoint.weight
        );
        if !endpoint.labels.is_empty() {
            line!(out, 2, "labels {:?}", endpoint.labels);
        }
    }
    for name in &found.names {
        let each = if name.single {
            "the first address"
        } else {
            "each address"
        };
        line!(
            out,
            1,
            "{}:{} {each} weight {} {:?}",
            name.host,
            name.port,
            name.template.weight,
            name.template.hop
        );
    }
    out
}

fn identity(workload: &Workload) -> String {
    if workload.trust_domain.is_empty() {
        return "nobody".to_owned();
    }
    format!(
        "{}/ns/{}/sa/{}",
        workload.trust_domain, workload.namespace, workload.service_account
    )
}

pub(crate) fn workload(found: &Workload) -> String {
    let Workload {
        namespace,
        name,
        instance,
        app,
        version,
        canonical_service,
        canonical_revision,
        ..
    } = found;
    format!(
        "workload {namespace}/{name} instance {instance} app {app} version {version:?} canonical {canonical_service}/{canonical_revision} is {}\n",
        identity(found)
    )
}

pub(crate) fn inbound(found: &Inbound) -> String {
    let mut out = String::new();
    line!(out, 0, "inbound {}", found.name);
    line!(out, 1, "{}", workload(&found.workload).trim_end());
    line!(
        out,
        1,
        "other ports: {}",
        mode(found.mtls, found.mtls_origin.as_ref())
    );
    for port in &found.ports {
        let service = port.service.as_ref().map_or("no service".to_owned(), frontend);
        let mode = mode(port.mtls, port.mtls_origin.as_ref());
        line!(
            out,
            1,
            "port {} {} {mode}, {service}",
            port.port,
            port.protocol.as_str()
        );
    }
    if found.paths != PathNormalization::AsSent {
        line!(out, 1, "paths: {:?}", found.paths);
    }
    for limit in &found.rate_limits {
        line!(out, 1, "limit {} on ports {:?}", limit.origin, limit.ports);
        for matched in &limit.matches {
            line!(out, 2, "for {matched}");
        }
        let clients = [texts("of", &limit.clients), texts("but", &limit.except)].concat();
        line!(out, 2, "{clients}{:?}", limit.allowance);
    }
    for external in &found.authorization.external {
        let asked = &external.authorizer;
        line!(
            out,
            1,
            "ask {} at {} within {:?}",
            asked.name,
            asked.service,
            asked.timeout
        );
        let failing = if asked.fail_open { "let in" } else { "refuse" };
        line!(
            out,
            2,
            "{failing} with {} where it fails, body {:?}",
            asked.status_on_error,
            asked.body
        );
        line!(out, 2, "{:?}", asked.protocol);
        policies(&mut out, "CUSTOM", &external.policies);
    }
    for (verb, found) in [
        ("DENY", &found.authorization.deny),
        ("ALLOW", &found.authorization.allow),
        ("AUDIT", &found.authorization.audit),
    ] {
        policies(&mut out, verb, found);
    }
    for gate in &found.authorization.gates {
        let port = gate
            .port
            .map_or("other ports".to_owned(), |port| format!("port {port}"));
        let audit = if gate.audit { ", others are marked" } else { "" };
        line!(out, 1, "GATE of {port} by {}{audit}", gate.origin);
        policies(&mut out, "  LETS IN", &gate.allow);
        for route in &gate.routes {
            line!(out, 2, "route {}: {}", route.origin, route.matches);
            policies(&mut out, "  LETS IN", &route.allow);
        }
    }
    out
}

fn policies(out: &mut String, verb: &str, policies: &[Policy]) {
    for policy in policies {
        line!(out, 1, "{verb} {}", policy.origin);
        for rule in &policy.rules {
            policy_rule(out, rule);
        }
    }
}

fn mode(mode: MtlsMode, origin: Option<&ObjectRef>) -> String {
    let origin = origin.map_or("mesh default".to_owned(), ToString::to_string);
    format!("{} by {origin}", mode.as_str())
}

fn policy_rule(out: &mut String, rule: &PolicyRule) {
    line!(out, 2, "rule");
    if let Some(field) = &rule.unsupported {
        line!(out, 3, "cannot evaluate {field}");
    }
    for source in &rule.from {
        line!(out, 3, "from {}", self::source(source));
    }
    for operation in &rule.to {
        line!(out, 3, "to {}", self::operation(operation));
    }
    for when in &rule.when {
        let parts = [
            texts(" in", &when.values),
            texts(" not in", &when.not_values),
            blocks(" in", &when.blocks),
            blocks(" not in", &when.not_blocks),
        ];
        line!(out, 3, "when {}{}", when.attribute, parts.concat());
    }
}

fn blocks(name: &str, blocks: &[IpBlock]) -> String {
    list(name, blocks.iter().map(ToString::to_string).collect())
}

fn source(source: &Source) -> String {
    let parts = [
        texts("principals", &source.principals),
        texts("not principals", &source.not_principals),
        texts("namespaces", &source.namespaces),
        texts("not namespaces", &source.not_namespaces),
        texts("accounts", &source.service_accounts),
        texts("not accounts", &source.not_service_accounts),
        texts("trust domains", &source.trust_domains),
        texts("not trust domains", &source.not_trust_domains),
        texts("request principals", &source.request_principals),
        texts("not request principals", &source.not_request_principals),
        blocks("remote addresses", &source.remote_ip_blocks),
        blocks("not remote addresses", &source.not_remote_ip_blocks),
        blocks("addresses", &source.ip_blocks),
        blocks("not addresses", &source.not_ip_blocks),
    ];
    parts.concat()
}

fn operation(operation: &Operation) -> String {
    let ports = |name: &str, ports: &[u16]| list(name, ports.iter().map(ToString::to_string).collect());
    let parts = [
        texts("hosts", &operation.hosts),
        texts("not hosts", &operation.not_hosts),
        ports("ports", &operation.ports),
        ports("not ports", &operation.not_ports),
        texts("methods", &operation.methods),
        texts("not methods", &operation.not_methods),
        texts("paths", &operation.paths),
        texts("not paths", &operation.not_paths),
    ];
    parts.concat()
}

fn texts(name: &str, texts: &[TextMatch]) -> String {
    list(name, texts.iter().map(ToString::to_string).collect())
}

fn list(name: &str, items: Vec<String>) -> String {
    if items.is_empty() {
        String::new()
    } else {
        format!("{name} [{}] ", items.join(", "))
    }
}

pub(crate) fn status(status: &RouteStatus) -> String {
    let mut out = String::new();
    for parent in &status.parents {
        line!(
            out,
            0,
            "status {} on {} {}",
            status.route,
            parent.parent.kind,
            parent.parent.name
        );
        for condition in &parent.conditions {
            let holds = if condition.holds { "True" } else { "False" };
            line!(
                out,
                1,
                "{}={holds} {} {}",
                condition.kind,
                condition.reason,
                condition.message
            );
        }
    }
    out
}

pub(crate) fn names(found: &Names) -> String {
    let mut out = String::new();
    line!(out, 0, "names in {}", found.namespace);
    for host in &found.hosts {
        let target = match &host.target {
            NameTarget::Addresses(addresses) => format!("{addresses:?}"),
            NameTarget::Alias(name) => format!("stands for {name}"),
        };
        line!(out, 1, "{} {:?}: {target}", host.name, host.aliases);
    }
    for scope in &found.scopes {
        let asked = match &scope.asked {
            Asked::Any => "any".to_owned(),
            Asked::Registered(besides) => {
                let hosts: Vec<_> = found
                    .registered
                    .iter()
                    .chain(besides)
                    .map(ToString::to_string)
                    .collect();
                format!("{hosts:?}")
            }
        };
        line!(
            out,
            1,
            "asked outside by {:?}: {asked}, {}",
            scope.labels,
            scope.origin
        );
    }
    out
}
