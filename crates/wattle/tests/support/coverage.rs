//! Which fields the configs of a run had, compared with those that `docs/support.md` says are applied.

use std::collections::BTreeSet;

use wattle_api::fields_of;

/// Kinds whose every applied field is compared, but for those in [`NOT_COMPARED`].
const KINDS: [&str; 13] = [
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "Sidecar",
    "HTTPRoute.policy.linkerd.io",
    "ServiceProfile",
    "XBackendTrafficPolicy",
    "EgressNetwork",
    "BackendTLSPolicy",
];

/// Fields that no config has, by kind and beginning, and why; `docs/differences.md` says what differs.
const NOT_COMPARED: &[(&str, &str, &str)] = &[
    (
        "HTTPRoute",
        "spec.hostnames",
        "they count at a Server, which is about the server's proxy: the same for both clients",
    ),
    (
        "Sidecar",
        "spec.ingress",
        "it is about the server's proxy, which is the same for both clients",
    ),
    (
        "Sidecar",
        "spec.inboundConnectionPool",
        "it is about the server's proxy, which is the same for both clients",
    ),
    (
        "DestinationRule",
        "spec.trafficPolicy.tunnel",
        "it needs a proxy at the other end; `wattle-envoy` compares what is encoded",
    ),
    (
        "DestinationRule",
        "spec.trafficPolicy.tls.caCrl",
        "it needs a revoked certificate; tests of the proxy have one",
    ),
    (
        "DestinationRule",
        "spec.trafficPolicy.tls.credentialName",
        "there are no Secrets here: it is refused with an error",
    ),
];

/// Fields by kind and path, as `KIND PATH`.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeSet<String>);

impl Coverage {
    /// Adds the fields of a config that came into force.
    pub(crate) fn add(&mut self, text: &str) {
        self.0.extend(written(text));
    }

    /// Whether a config has a field that is missing.
    pub(crate) fn wants(&self, text: &str) -> bool {
        let missing = self.missing();
        written(text).any(|field| missing.contains(&field))
    }

    /// Fields that should have been in a config and were not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let known = applied();
        assert!(known.len() > 300, "docs/support.md lists {} fields", known.len());
        known
            .into_iter()
            .filter(|field| !self.0.contains(field) && !is_excused(field))
            .collect()
    }

    /// Excuses of fields that a config had after all.
    pub(crate) fn idle_excuses(&self) -> Vec<&'static str> {
        let idle = |excuse: &&(&str, &'static str, &str)| {
            let mut had = self.0.iter();
            had.any(|field| {
                field
                    .split_once(' ')
                    .is_some_and(|(kind, path)| kind == excuse.0 && path.starts_with(excuse.1))
            })
        };
        NOT_COMPARED
            .iter()
            .filter(idle)
            .map(|(_, field, _)| *field)
            .collect()
    }
}

fn written(text: &str) -> impl Iterator<Item = String> {
    let fields = fields_of(text).into_iter().filter(|field| field.written);
    fields.map(|field| folded(&format!("{} {}", field.kind, field.path)))
}

fn is_excused(field: &str) -> bool {
    let (kind, path) = field.split_once(' ').unwrap_or_default();
    NOT_COMPARED
        .iter()
        .any(|(of, start, _)| *of == kind && path.starts_with(start))
}

/// One level of a policy stands for all: the same code reads and compiles a policy of a subset or a port.
fn folded(field: &str) -> String {
    let mut field = field.replace("subsets[].trafficPolicy.", "trafficPolicy.");
    for part in ["connectionPool", "loadBalancer", "outlierDetection", "tls"] {
        let of_port = format!("portLevelSettings[].{part}");
        field = field.replace(&of_port, part);
    }
    for nested in ["all[].", "any[].", "not."] {
        field = field.replace(nested, "");
    }
    field
}

/// The fields of the document's tables whose support is `applied`.
fn applied() -> BTreeSet<String> {
    let text = include_str!("../../../../docs/support.md");
    let (mut kind, mut fields) = ("", BTreeSet::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            kind = title;
        }
        let field = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once("` | applied |"));
        if let Some((path, _)) = field.filter(|_| KINDS.contains(&kind)) {
            fields.insert(folded(&format!("{kind} {path}")));
        }
    }
    fields
}
