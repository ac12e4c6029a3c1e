//! What would have to change: parts of rules are left out one by one, and the model is asked again.

use wattle_model::{
    Authorization, AuthorizationDecision, ConnectionFacts, Inbound, NoTrace, ObjectRef, Operation, Policy,
    PolicyRule, Reason, RequestFacts, TextMatch,
};
use wattle_telemetry::Refusal;

/// Most remedies that are named.
const MOST: usize = 16;

/// Each lets it in by itself; empty when it is let in already.
pub(super) fn remedies(
    inbound: &Inbound,
    refusal: &Refusal,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
) -> Vec<String> {
    if inbound.admit(connection, &mut NoTrace).is_err() {
        return secured(inbound, connection);
    }
    let asked = Asked { connection, request };
    let mut found = match inbound.authorize(connection, request, &mut NoTrace) {
        AuthorizationDecision::Allowed { .. } => otherwise(&refusal.reason),
        AuthorizationDecision::Refused {
            reason: Reason::PolicyDenied,
            policy: Some(policy),
            rule: Some(rule),
        } => vec![asked.except(policy, rule)],
        AuthorizationDecision::Refused {
            policy: Some(gate), ..
        } if inbound
            .authorization
            .gates
            .iter()
            .any(|known| known.origin == *gate) =>
        {
            vec![format!("authorize {} for {gate}", asked.caller())]
        }
        AuthorizationDecision::Refused { .. } => {
            let rules = inbound.authorization.allow.iter().flat_map(|policy| {
                (0u32..)
                    .zip(&policy.rules)
                    .map(move |(index, rule)| (policy, index, rule))
            });
            rules
                .flat_map(|(policy, index, rule)| asked.within(policy, index, rule))
                .collect()
        }
    };
    found.truncate(MOST);
    found
}

/// The connection has to be mutual TLS.
fn secured(inbound: &Inbound, connection: &ConnectionFacts<'_>) -> Vec<String> {
    let by = inbound.port(connection.port).mtls_origin.map_or_else(
        || "a PeerAuthentication for the workload".to_owned(),
        ToString::to_string,
    );
    vec![
        "give the caller a proxy".to_owned(),
        format!("set port {} to PERMISSIVE in {by}", connection.port),
    ]
}

/// Reasons that are no policy's.
fn otherwise(reason: &str) -> Vec<String> {
    let text = match reason {
        "token_invalid" => {
            "send a token that is valid for a RequestAuthentication of the workload; `detail` says what is wrong"
        }
        "external_denied" => "ask whoever runs the service that the CUSTOM policy asks: it refused",
        "external_failure" => "see why the service that the CUSTOM policy asks did not answer",
        "rate_limited" => "wait, or raise the limit",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

/// What was asked.
#[derive(Clone, Copy)]
struct Asked<'a> {
    connection: &'a ConnectionFacts<'a>,
    request: Option<&'a RequestFacts<'a>>,
}

impl Asked<'_> {
    fn caller(&self) -> String {
        match &self.connection.peer {
            Some(peer) => format!("principal {}", peer.principal),
            None => format!("plaintext from {}", self.connection.peer_ip),
        }
    }

    /// A DENY rule that has to make an exception.
    fn except(&self, policy: &ObjectRef, rule: u32) -> String {
        match &self.connection.peer {
            Some(peer) => format!(
                "except principal {} from rule {rule} of {policy} (`notPrincipals`)",
                peer.principal
            ),
            None => format!("narrow rule {rule} of {policy}"),
        }
    }

    /// Would the policy with this rule alone let it in?
    fn matches(&self, rule: PolicyRule) -> bool {
        let policy = Policy {
            origin: ObjectRef {
                kind: "".into(),
                namespace: "".into(),
                name: "".into(),
                file: "".into(),
                line: 0,
            },
            rules: vec![rule],
        };
        let inbound = Inbound {
            authorization: Authorization {
                allow: vec![policy],
                ..Authorization::default()
            },
            ..Inbound::default()
        };
        let decision = inbound.authorize(self.connection, self.request, &mut NoTrace);
        matches!(decision, AuthorizationDecision::Allowed { .. })
    }

    /// The fewest parts of an ALLOW rule that have to give way; nothing when too much does.
    fn within(&self, policy: &Policy, index: u32, rule: &PolicyRule) -> Vec<String> {
        let place = format!("rule {index} of {}", policy.origin);
        if let Some(field) = &rule.unsupported {
            return vec![format!(
                "take {field} out of {place}: it cannot be evaluated here"
            )];
        }
        let (without_from, without_to) = (
            PolicyRule {
                from: Vec::new(),
                ..rule.clone()
            },
            PolicyRule {
                to: Vec::new(),
                ..rule.clone()
            },
        );
        if self.matches(without_from.clone()) {
            return vec![format!("add {} to {place}", self.caller())];
        }
        if self.matches(without_to) {
            return self.operations(rule, &place);
        }
        let both = PolicyRule {
            to: Vec::new(),
            ..without_from
        };
        if self.matches(both) {
            return vec![format!(
                "add to {}: {} with {}",
                policy.origin,
                self.caller(),
                self.what()
            )];
        }
        let failing = rule.when.iter().find(|condition| {
            let alone = PolicyRule {
                when: vec![(*condition).clone()],
                ..PolicyRule::default()
            };
            !self.matches(alone)
        });
        failing
            .map(|condition| format!("meet `when` {} of {place}", condition.attribute))
            .into_iter()
            .collect()
    }

    fn what(&self) -> String {
        match self.request {
            Some(request) => format!(
                "{} {} on port {}",
                request.method, request.path, self.connection.port
            ),
            None => format!("TCP on port {}", self.connection.port),
        }
    }

    /// What differs from the operations of a rule whose sources hold.
    fn operations(&self, rule: &PolicyRule, place: &str) -> Vec<String> {
        let mut found = Vec::new();
        for operation in &rule.to {
            let only = |changed: Operation| {
                self.matches(PolicyRule {
                    to: vec![changed],
                    ..rule.clone()
                })
            };
            let free = operation.clone();
            if only(Operation {
                methods: Vec::new(),
                not_methods: Vec::new(),
                ..free.clone()
            }) {
                found.push(self.other(
                    "method",
                    &operation.methods,
                    self.request.map(|request| request.method),
                    place,
                ));
            } else if only(Operation {
                paths: Vec::new(),
                not_paths: Vec::new(),
                ..free.clone()
            }) {
                found.push(self.other(
                    "path",
                    &operation.paths,
                    self.request.map(|request| request.path),
                    place,
                ));
            } else if only(Operation {
                hosts: Vec::new(),
                not_hosts: Vec::new(),
                ..free.clone()
            }) {
                found.push(self.other(
                    "host",
                    &operation.hosts,
                    self.request.map(|request| request.authority),
                    place,
                ));
            } else if only(Operation {
                ports: Vec::new(),
                not_ports: Vec::new(),
                ..free
            }) {
                found.push(format!("allow port {} in {place}", self.connection.port));
            }
        }
        if found.is_empty() {
            found.push(format!("allow {} in {place}", self.what()));
        }
        found
    }

    /// Call otherwise, or allow how it was called.
    fn other(&self, field: &str, wanted: &[TextMatch], was: Option<&str>, place: &str) -> String {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let allow = format!("allow {field} {} in {place}", was.unwrap_or_default());
        match wanted.is_empty() {
            true => allow,
            false => format!("call with {field} {}, or {allow}", wanted.join(" or ")),
        }
    }
}
