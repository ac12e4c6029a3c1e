//! Linkerd HTTPLocalRateLimitPolicy: how many requests a Server takes, in all and from one client.

use serde::Serialize;

use crate::authorization::TargetRef;
use crate::decode::{Cursor, Decoded, Fields};
use crate::reference::group;
use crate::scalar;

/// Most overrides, and clients of one.
const MAX_ITEMS: usize = 256;

/// `spec` of an HTTPLocalRateLimitPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalRateLimit {
    /// The Server it is for, in its own namespace.
    pub target_ref: TargetRef,
    /// Requests per second of all clients together, from 1; none means no bound.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rate")]
    pub total: Option<u32>,
    /// Requests per second of each client, from 1; clients without an identity count as one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rate")]
    pub identity: Option<u32>,
    /// Bounds of single clients instead of `identity`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<RateOverride>,
}

/// The bound of some clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateOverride {
    /// Requests per second, from 1; at most `total`.
    pub requests_per_second: u32,
    /// The clients; at least one.
    pub client_refs: Vec<ClientRef>,
}

/// A client by its service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename = "ServiceAccount")]
pub struct ClientRef {
    /// Namespace; none means the policy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

fn rate<S: serde::Serializer>(rate: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rate.map(|rate| ("requestsPerSecond", rate)))
}

pub(crate) fn local_rate_limit(cursor: &Cursor<'_>) -> Decoded<LocalRateLimit> {
    let fields = cursor.fields(&["targetRef", "total", "identity", "overrides"])?;
    let target_ref = fields.required("targetRef", target);
    let bound = |at: &Cursor<'_>| requests(&at.fields(&["requestsPerSecond"])?);
    let total = fields.optional("total", bound);
    let identity = fields.optional("identity", bound);
    let overrides = fields.list("overrides", MAX_ITEMS, client_override);
    let policy = LocalRateLimit {
        target_ref: target_ref?,
        total: total?,
        identity: identity?,
        overrides: overrides?,
    };
    check(&policy, cursor)?;
    Ok(policy)
}

fn check(policy: &LocalRateLimit, cursor: &Cursor<'_>) -> Decoded<()> {
    let total = policy.total.unwrap_or(u32::MAX);
    let overrides = policy.overrides.iter().map(|bound| bound.requests_per_second);
    match overrides.chain(policy.identity).find(|bound| *bound > total) {
        None => Ok(()),
        Some(bound) => Err(cursor.refuse(
            "incompatible-fields",
            format!(
                "found {bound} requests per second for one client, expected at most the total of {total}"
            ),
        )),
    }
}

fn requests(fields: &Fields<'_>) -> Decoded<u32> {
    fields.required("requestsPerSecond", |at| scalar::count(at, 1, u32::MAX))
}

fn client_override(cursor: &Cursor<'_>) -> Decoded<RateOverride> {
    let fields = cursor.fields(&["requestsPerSecond", "clientRefs"])?;
    let requests_per_second = requests(&fields);
    let client_refs = fields.required("clientRefs", |at| {
        let clients = at.list(MAX_ITEMS, client)?;
        if clients.is_empty() {
            return Err(at.refuse("empty", "found no client, expected at least one"));
        }
        Ok(clients)
    });
    Ok(RateOverride {
        requests_per_second: requests_per_second?,
        client_refs: client_refs?,
    })
}

fn client(cursor: &Cursor<'_>) -> Decoded<ClientRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name"])?;
    let core = fields.optional("group", |at| scalar::word(at, &[("", ())]));
    let kind = fields.required("kind", |at| scalar::word(at, &[("ServiceAccount", ())]));
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    core?;
    kind?;
    Ok(ClientRef {
        namespace: namespace?,
        name: name?,
    })
}

fn target(cursor: &Cursor<'_>) -> Decoded<TargetRef> {
    let fields = cursor.fields(&["group", "kind", "name"])?;
    let group = fields.optional("group", group);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.required("name", scalar::subdomain);
    let target = TargetRef {
        group: group?.unwrap_or_default(),
        kind: kind?,
        name: name?,
    };
    if (target.group.as_str(), target.kind.as_str()) != ("policy.linkerd.io", "Server") {
        let reason = format!(
            "found kind {} of group {:?}, expected Server of policy.linkerd.io",
            target.kind, target.group
        );
        return Err(cursor.refuse("unknown-value", reason));
    }
    Ok(target)
}
