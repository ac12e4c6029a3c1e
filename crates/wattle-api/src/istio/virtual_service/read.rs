//! Decoding of a VirtualService.

use super::action::{HttpAction, action};
use super::cors::cors_policy;
use super::fault::fault;
use super::layer4::{tcp_rule, tls_rule};
use super::matches::http_match;
use super::mirror::mirrors;
use super::retries::retries;
use super::rewrite::rewrite;
use super::{HttpRule, VirtualService};
use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::export_to::export_to;
use crate::istio::gateway_ref::{GatewayRef, gateway_ref};
use crate::istio::headers::headers;
use crate::istio::host::{self, Host};
use crate::istio::time::time;
use crate::istio::value::{MAX_ITEMS, words};

pub(crate) fn virtual_service(cursor: &Cursor<'_>) -> Decoded<VirtualService> {
    let fields = cursor.fields(&["hosts", "gateways", "http", "tls", "tcp", "exportTo"])?;
    let hosts = fields.list("hosts", MAX_ITEMS, host::host);
    let gateways = fields.list("gateways", MAX_ITEMS, gateway_ref);
    let http = fields.list("http", MAX_ITEMS, http_rule);
    let tls = fields.list("tls", MAX_ITEMS, tls_rule);
    let tcp = fields.list("tcp", MAX_ITEMS, tcp_rule);
    let export_to = fields.optional("exportTo", export_to);
    let mut service = VirtualService {
        hosts: hosts?,
        gateways: gateways?,
        http: http?,
        tls: tls?,
        tcp: tcp?,
        export_to: export_to?.unwrap_or_default(),
    };
    if service.is_delegate() {
        check_delegate(&service, &fields)?;
        return Ok(service);
    }
    if service.gateways.is_empty() {
        service.gateways.push(GatewayRef::Mesh);
    }
    check_hosts(&service, &fields)?;
    check_rules(&service, &fields)?;
    check_sni(&service, cursor)?;
    Ok(service)
}

fn check_delegate(service: &VirtualService, fields: &Fields<'_>) -> Decoded<()> {
    let delegates = |rule: &HttpRule| matches!(rule.action, HttpAction::Delegate(_));
    let reason = if service.http.is_empty() || !service.tls.is_empty() || !service.tcp.is_empty() {
        "without hosts it is a delegate, which has rules under http and none under tls or tcp"
    } else if !service.gateways.is_empty() {
        "without hosts it is a delegate, which has the gateways of the one that names it"
    } else if service.http.iter().any(delegates) {
        "without hosts it is a delegate, which cannot delegate in turn"
    } else {
        return Ok(());
    };
    Err(fields.refuse("incompatible-fields", reason))
}

fn check_hosts(service: &VirtualService, fields: &Fields<'_>) -> Decoded<()> {
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = service.hosts.iter().find(|host| !seen.insert(*host)) {
        return Err(fields.refuse("duplicate-item", format!("the host {twice} is given twice")));
    }
    if service.hosts.contains(&Host::Any) && service.is_for_mesh() {
        let reason = "the host * is for gateways only, and this applies to the mesh";
        return Err(fields.refuse("invalid-hostname", reason));
    }
    Ok(())
}

fn check_rules(service: &VirtualService, fields: &Fields<'_>) -> Decoded<()> {
    if service.http.is_empty() && service.tls.is_empty() && service.tcp.is_empty() {
        return Err(fields.refuse("missing-field", "expected a rule under http, tls or tcp"));
    }
    Ok(())
}

fn check_sni(service: &VirtualService, cursor: &Cursor<'_>) -> Decoded<()> {
    let mut wanted = service
        .tls
        .iter()
        .flat_map(|rule| &rule.matches)
        .flat_map(|one| &one.sni_hosts);
    match wanted.find(|sni| !service.hosts.iter().any(|host| host.covers(sni))) {
        None => Ok(()),
        Some(sni) => {
            let reason = format!("the SNI host {sni} is not among the hosts");
            Err(cursor.refuse_with("invalid-hostname", reason, &format!("add {sni} to hosts")))
        }
    }
}

const HTTP_FIELDS: &[&str] = &[
    "name",
    "match",
    "route",
    "redirect",
    "directResponse",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercentage",
    "mirrorPercent",
    "mirror_percent",
    "mirrors",
    "corsPolicy",
    "headers",
];

fn http_rule(cursor: &Cursor<'_>) -> Decoded<HttpRule> {
    let fields = cursor.fields(HTTP_FIELDS)?;
    let name = words(&fields, "name");
    let matches = fields.list("match", MAX_ITEMS, http_match);
    let action = action(&fields);
    let rewrite = fields.optional("rewrite", rewrite);
    let timeout = fields.optional("timeout", time);
    let retries = fields.optional("retries", retries);
    let fault = fields.optional("fault", fault);
    let mirrors = mirrors(&fields);
    let cors_policy = fields.optional("corsPolicy", cors_policy);
    let headers = fields.optional("headers", headers);
    let rule = HttpRule {
        name: name?,
        matches: matches?,
        action: action?,
        rewrite: rewrite?,
        timeout: timeout?,
        retries: retries?,
        fault: fault?,
        mirrors: mirrors?,
        cors_policy: cors_policy?,
        headers: headers?.unwrap_or_default(),
    };
    check_rule(&rule, &fields)?;
    Ok(rule)
}

fn check_rule(rule: &HttpRule, fields: &Fields<'_>) -> Decoded<()> {
    let rewritten = rule
        .rewrite
        .as_ref()
        .and_then(|rewrite| rewrite.authority.as_ref());
    if rewritten.is_some() && rule.headers.authority().is_some() {
        let reason = "the host is changed twice, by rewrite.authority and by headers.request";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    let excluded: &[&str] = match rule.action {
        HttpAction::Route(_) | HttpAction::Delegate(_) => &[],
        HttpAction::Redirect(_) | HttpAction::DirectResponse(_) => &["rewrite", "fault"],
    };
    if let Some(key) = excluded.iter().find(|key| fields.at(key).is_some()) {
        let reason = format!("{key} needs a route");
        return Err(fields.refuse("incompatible-fields", reason));
    }
    if matches!(
        rule.action,
        HttpAction::Redirect(_) | HttpAction::DirectResponse(_)
    ) {
        let idle = ["timeout", "retries", "mirror", "mirrors"];
        for at in idle.iter().filter_map(|key| fields.at(key)) {
            at.warn(
                "no-effect",
                "the field has no effect without a route",
                "remove it",
            );
        }
    }
    Ok(())
}
