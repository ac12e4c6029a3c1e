//! Decoding of a Sidecar.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::{
    CaptureMode, DefaultEndpoint, Egress, EgressHost, EgressNamespace, Ingress, OutboundMode,
    OutboundTrafficPolicy, Sidecar, SidecarPort,
};
use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::connection_pool::connection_pool;
use crate::istio::destination::destination;
use crate::istio::host::{self, Host};
use crate::istio::server_tls::server_tls;
use crate::istio::service_entry::app_protocol;
use crate::istio::value::{MAX_ITEMS, words, workload_selector};
use crate::scalar;
use crate::tree::quote;

pub(crate) fn sidecar(cursor: &Cursor<'_>) -> Decoded<Sidecar> {
    let fields = cursor.fields(&[
        "workloadSelector",
        "ingress",
        "egress",
        "inboundConnectionPool",
        "outboundTrafficPolicy",
    ])?;
    let workload_selector = fields.optional("workloadSelector", workload_selector);
    let ingress = fields.list("ingress", MAX_ITEMS, ingress);
    let egress = fields.list("egress", MAX_ITEMS, egress);
    let pool = fields.optional("inboundConnectionPool", connection_pool);
    let policy = fields.optional("outboundTrafficPolicy", outbound_traffic_policy);
    let sidecar = Sidecar {
        workload_selector: workload_selector?,
        ingress: ingress?,
        egress: egress?,
        inbound_connection_pool: pool?,
        outbound_traffic_policy: policy?,
    };
    let listens = !sidecar.ingress.is_empty() || !sidecar.egress.is_empty();
    let settled = sidecar.inbound_connection_pool.is_some() || sidecar.outbound_traffic_policy.is_some();
    if !listens && !settled {
        let reason = "expected one of ingress, egress, inboundConnectionPool, outboundTrafficPolicy";
        return Err(cursor.refuse("missing-field", reason));
    }
    check_listeners(&sidecar, &fields)?;
    Ok(sidecar)
}

fn check_listeners(sidecar: &Sidecar, fields: &Fields<'_>) -> Decoded<()> {
    let mut ports = BTreeSet::new();
    let mut inward = sidecar.ingress.iter().map(|listener| listener.port.number);
    if let Some(port) = inward.find(|port| !ports.insert(*port)) {
        let reason = format!("two ingress listeners have port {port}");
        return Err(fields.refuse("duplicate-item", reason));
    }
    let mut bound = BTreeSet::new();
    for listener in sidecar.egress.iter().rev().skip(1) {
        if listener.port.is_none() {
            let reason = "an egress listener without a port must be the last one";
            return Err(fields.refuse("incompatible-fields", reason));
        }
    }
    for listener in &sidecar.egress {
        let Some(port) = &listener.port else { continue };
        if !bound.insert((listener.bind, port.number)) {
            let reason = format!("two egress listeners have port {}", port.number);
            return Err(fields.refuse("duplicate-item", reason));
        }
    }
    Ok(())
}

fn ingress(cursor: &Cursor<'_>) -> Decoded<Ingress> {
    let fields = cursor.fields(&[
        "port",
        "bind",
        "captureMode",
        "defaultEndpoint",
        "tls",
        "connectionPool",
    ])?;
    let port = fields.required("port", port);
    let bind = fields.optional("bind", bind);
    let capture_mode = fields.optional("captureMode", capture_mode);
    let default_endpoint = fields.optional("defaultEndpoint", default_endpoint);
    let tls = fields.optional("tls", server_tls);
    let connection_pool = fields.optional("connectionPool", connection_pool);
    Ok(Ingress {
        port: port?,
        bind: bind?.flatten(),
        capture_mode: capture_mode?.unwrap_or_default(),
        default_endpoint: default_endpoint?.flatten(),
        tls: tls?,
        connection_pool: connection_pool?,
    })
}

fn egress(cursor: &Cursor<'_>) -> Decoded<Egress> {
    let fields = cursor.fields(&["port", "bind", "captureMode", "hosts"])?;
    let port = fields.optional("port", port);
    let bind = fields.optional("bind", bind);
    let capture_mode = fields.optional("captureMode", capture_mode);
    let hosts = fields.required("hosts", |at| {
        let hosts = at.list(MAX_ITEMS, egress_host)?;
        if hosts.is_empty() {
            let hint = "write ~/* for none";
            return Err(at.refuse_with("empty", "found no host, expected at least one", hint));
        }
        Ok(hosts)
    });
    let egress = Egress {
        port: port?,
        bind: bind?.flatten(),
        capture_mode: capture_mode?.unwrap_or_default(),
        hosts: hosts?,
    };
    if egress.port.is_none() && egress.bind.is_some() {
        return Err(cursor.refuse_with("missing-field", "bind needs a port", "add port"));
    }
    Ok(egress)
}

fn port(cursor: &Cursor<'_>) -> Decoded<SidecarPort> {
    let fields = cursor.fields(&["number", "protocol", "name", "targetPort"])?;
    fields.without_effect(&["targetPort"]);
    let number = fields.required("number", scalar::port);
    let protocol = fields.optional("protocol", app_protocol);
    let name = words(&fields, "name");
    Ok(SidecarPort {
        number: number?,
        protocol: protocol?.flatten(),
        name: name?,
    })
}

fn bind(cursor: &Cursor<'_>) -> Decoded<Option<IpAddr>> {
    let text = scalar::text(cursor)?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with("unix://") {
        let reason = "listening on a Unix socket is not supported yet";
        return Err(cursor.refuse("address-not-supported", reason));
    }
    text.parse().map(Some).map_err(|_| {
        let reason = format!("found {}, expected an address", quote(&text));
        cursor.refuse("invalid-address", reason)
    })
}

fn capture_mode(cursor: &Cursor<'_>) -> Decoded<CaptureMode> {
    let words = [
        ("DEFAULT", CaptureMode::Default),
        ("IPTABLES", CaptureMode::Iptables),
        ("NONE", CaptureMode::None),
    ];
    scalar::word(cursor, &words)
}

fn default_endpoint(cursor: &Cursor<'_>) -> Decoded<Option<DefaultEndpoint>> {
    let text = scalar::text(cursor)?;
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix://") {
        if path.starts_with('/') && !path.ends_with('/') && path.len() < 108 && !path.contains('\0') {
            return Ok(Some(DefaultEndpoint::Unix(path.to_owned())));
        }
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        let ip = address.ip();
        // 127.0.0.1, not the whole block: that is what Istio takes.
        let near = ip.is_unspecified() || ip.to_string() == "127.0.0.1" || ip.to_string() == "::1";
        if near && address.port() != 0 {
            return Ok(Some(DefaultEndpoint::Socket(address)));
        }
    }
    let reason = format!(
        "found {}, expected 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///PATH",
        quote(&text)
    );
    Err(cursor.refuse("invalid-address", reason))
}

fn egress_host(cursor: &Cursor<'_>) -> Decoded<EgressHost> {
    let text = scalar::text(cursor)?;
    read_egress_host(&text).ok_or_else(|| {
        let reason = format!("found {}, expected NAMESPACE/HOST", quote(&text));
        let hint = if text.contains('/') {
            ""
        } else {
            "write */ before the host for any namespace"
        };
        cursor.refuse_with("invalid-hostname", reason, hint)
    })
}

fn read_egress_host(text: &str) -> Option<EgressHost> {
    let (namespace, host) = text.split_once('/')?;
    let host = host::read(host).filter(|host| !matches!(host, Host::Address(_)))?;
    let (excluded, namespace) = match namespace {
        "~" if host == Host::Any => (false, EgressNamespace::Nowhere),
        // A lone ~ before a host excludes it in every namespace.
        "~" => (true, EgressNamespace::Any),
        _ => match namespace.strip_prefix('~') {
            Some(namespace) => (true, egress_namespace(namespace)?),
            None => (false, egress_namespace(namespace)?),
        },
    };
    Some(EgressHost {
        excluded,
        namespace,
        host,
    })
}

fn egress_namespace(text: &str) -> Option<EgressNamespace> {
    Some(match text {
        "*" => EgressNamespace::Any,
        "." => EgressNamespace::Own,
        name if scalar::is_label(name) => EgressNamespace::Named(name.to_owned()),
        _ => return None,
    })
}

fn outbound_traffic_policy(cursor: &Cursor<'_>) -> Decoded<OutboundTrafficPolicy> {
    let fields = cursor.fields(&["mode", "egressProxy"])?;
    let mode = fields.optional("mode", outbound_mode);
    let egress_proxy = fields.optional("egressProxy", |at| {
        let proxy = destination(at)?;
        if proxy.port.is_none() {
            return Err(at.refuse_with("missing-field", "an egress proxy needs a port", "add port.number"));
        }
        Ok(proxy)
    });
    Ok(OutboundTrafficPolicy {
        mode: mode?.unwrap_or_default(),
        egress_proxy: egress_proxy?,
    })
}

pub(crate) fn outbound_mode(cursor: &Cursor<'_>) -> Decoded<OutboundMode> {
    let words = [
        ("REGISTRY_ONLY", OutboundMode::RegistryOnly),
        ("ALLOW_ANY", OutboundMode::AllowAny),
    ];
    scalar::word(cursor, &words)
}
