//! Decoding of a DestinationRule.

use super::{
    DestinationRule, PortPolicy, ProxyProtocol, RetryBudget, Settings, Subset, TrafficPolicy, Tunnel,
    TunnelProtocol,
};
use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::client_tls::client_tls;
use crate::istio::connection_pool::connection_pool;
use crate::istio::destination::port_selector;
use crate::istio::export_to::{Visibility, export_to};
use crate::istio::host::{self, Host};
use crate::istio::load_balancer::load_balancer;
use crate::istio::outlier::outlier_detection;
use crate::istio::time::time_or_zero;
use crate::istio::value::{self, MAX_ITEMS, at_most_one, natural};
use crate::peer::selector;
use crate::scalar;

/// Most ports with settings of their own (Istio).
const MAX_PORTS: usize = 4096;

pub(crate) fn destination_rule(cursor: &Cursor<'_>) -> Decoded<DestinationRule> {
    let fields = cursor.fields(&["host", "workloadSelector", "trafficPolicy", "subsets", "exportTo"])?;
    let host = fields.required("host", host::name);
    let workload_selector = fields.optional("workloadSelector", selector);
    let traffic_policy = fields.optional("trafficPolicy", traffic_policy);
    let subsets = fields.list("subsets", MAX_ITEMS, subset);
    let export_to = fields.optional("exportTo", export_to);
    let rule = DestinationRule {
        host: host?,
        workload_selector: workload_selector?.flatten(),
        traffic_policy: traffic_policy?.map(Box::new),
        subsets: subsets?,
        export_to: export_to?.unwrap_or_default(),
    };
    check(&rule, &fields)?;
    Ok(rule)
}

fn check(rule: &DestinationRule, fields: &Fields<'_>) -> Decoded<()> {
    let mut names = std::collections::BTreeSet::new();
    for subset in &rule.subsets {
        if !names.insert(&subset.name) {
            let reason = format!("two subsets are named {}", subset.name);
            return Err(fields.refuse("duplicate-item", reason));
        }
    }
    let elsewhere = rule
        .export_to
        .entries()
        .iter()
        .any(|entry| *entry != Visibility::Own);
    if rule.workload_selector.is_some() && elsewhere {
        let reason = "with a workloadSelector it is for its own namespace, and exportTo names others";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    Ok(())
}

fn subset(cursor: &Cursor<'_>) -> Decoded<Subset> {
    let fields = cursor.fields(&["name", "labels", "trafficPolicy"])?;
    let name = fields.required("name", scalar::label);
    let labels = fields.optional("labels", scalar::labels);
    let traffic_policy = fields.optional("trafficPolicy", traffic_policy);
    Ok(Subset {
        name: name?,
        labels: labels?.unwrap_or_default(),
        traffic_policy: traffic_policy?,
    })
}

fn traffic_policy(cursor: &Cursor<'_>) -> Decoded<TrafficPolicy> {
    let fields = cursor.fields(&[
        "loadBalancer",
        "connectionPool",
        "outlierDetection",
        "tls",
        "portLevelSettings",
        "tunnel",
        "proxyProtocol",
        "retryBudget",
    ])?;
    at_most_one(&fields, &["tunnel", "proxyProtocol"])?;
    let settings = settings(&fields);
    let port_level_settings = fields.optional("portLevelSettings", port_policies);
    let tunnel = fields.optional("tunnel", tunnel);
    let proxy_protocol = fields.optional("proxyProtocol", proxy_protocol);
    let retry_budget = fields.optional("retryBudget", retry_budget);
    let policy = TrafficPolicy {
        settings: settings?,
        port_level_settings: port_level_settings?.unwrap_or_default(),
        tunnel: tunnel?,
        proxy_protocol: proxy_protocol?,
        retry_budget: retry_budget?,
    };
    let others = policy.tunnel.is_some() || policy.proxy_protocol.is_some() || policy.retry_budget.is_some();
    if policy.settings == Settings::default() && policy.port_level_settings.is_empty() && !others {
        return Err(cursor.refuse_with("empty", "found no setting, expected at least one", "remove it"));
    }
    Ok(policy)
}

fn settings(fields: &Fields<'_>) -> Decoded<Settings> {
    let load_balancer = fields.optional("loadBalancer", load_balancer);
    let connection_pool = fields.optional("connectionPool", connection_pool);
    let outlier_detection = fields.optional("outlierDetection", outlier_detection);
    let tls = fields.optional("tls", client_tls);
    Ok(Settings {
        load_balancer: load_balancer?,
        connection_pool: connection_pool?,
        outlier_detection: outlier_detection?,
        tls: tls?,
    })
}

fn port_policies(cursor: &Cursor<'_>) -> Decoded<Vec<PortPolicy>> {
    let policies = cursor.list(MAX_PORTS, |at| {
        let fields = at.fields(&[
            "port",
            "loadBalancer",
            "connectionPool",
            "outlierDetection",
            "tls",
        ])?;
        let port = fields.required("port", port_selector);
        let settings = settings(&fields);
        Ok(PortPolicy {
            port: port?,
            settings: settings?,
        })
    })?;
    let mut ports = std::collections::BTreeSet::new();
    match policies.iter().find(|policy| !ports.insert(policy.port)) {
        None => Ok(policies),
        Some(twice) => {
            let reason = format!("port {} is given twice", twice.port);
            Err(cursor.refuse("duplicate-item", reason))
        }
    }
}

fn tunnel(cursor: &Cursor<'_>) -> Decoded<Tunnel> {
    let fields = cursor.fields(&["protocol", "targetHost", "targetPort"])?;
    let protocol = fields.optional("protocol", |at| {
        let words = [
            ("CONNECT", TunnelProtocol::Connect),
            ("POST", TunnelProtocol::Post),
        ];
        scalar::word(at, &words)
    });
    let target_host = fields.required("targetHost", |at| match host::host(at)? {
        Host::Any | Host::Below(_) => Err(at.refuse("invalid-hostname", "expected one host, not a pattern")),
        one => Ok(one),
    });
    let target_port = fields.required("targetPort", scalar::port);
    Ok(Tunnel {
        protocol: protocol?.unwrap_or_default(),
        target_host: target_host?,
        target_port: target_port?,
    })
}

fn proxy_protocol(cursor: &Cursor<'_>) -> Decoded<ProxyProtocol> {
    let words = [("V1", ProxyProtocol::V1), ("V2", ProxyProtocol::V2)];
    let fields = cursor.fields(&["version"])?;
    let version = fields.optional("version", |at| scalar::word(at, &words))?;
    Ok(version.unwrap_or(ProxyProtocol::V1))
}

fn retry_budget(cursor: &Cursor<'_>) -> Decoded<RetryBudget> {
    let fields = cursor.fields(&["percent", "minRetryConcurrency", "budgetInterval"])?;
    let percent = fields.optional("percent", value::percentage);
    let min_retry_concurrency = natural(&fields, "minRetryConcurrency");
    let budget_interval = fields.optional("budgetInterval", time_or_zero);
    Ok(RetryBudget {
        percent: percent?,
        min_retry_concurrency: min_retry_concurrency?,
        budget_interval: budget_interval?.filter(|interval| !interval.is_zero()),
    })
}
