//! What several messages are made of: references, labels, names and lengths of time.

use std::sync::Arc;
use std::time::Duration;

use wattle_model::{Locality, ObjectRef, Protocol, RuleRef, ServicePort, Workload};

use crate::proto::mesh;

pub(super) fn object_ref(value: &ObjectRef) -> mesh::ObjectRef {
    mesh::ObjectRef {
        kind: value.kind.to_string(),
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        file: value.file.to_string(),
        line: value.line,
    }
}

pub(super) fn rule_ref(value: &RuleRef) -> mesh::RuleRef {
    mesh::RuleRef {
        object: Some(object_ref(&value.object)),
        rule: value.rule,
        matched: value.matched,
        name: value.name.to_string(),
    }
}

pub(super) fn service_port(value: &ServicePort) -> mesh::ServicePort {
    mesh::ServicePort {
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        host: value.host.to_string(),
        port: value.port.into(),
    }
}

pub(super) fn protocol(value: Protocol) -> i32 {
    (match value {
        Protocol::Detect => mesh::Protocol::Detect,
        Protocol::Tcp => mesh::Protocol::Tcp,
        Protocol::Tls => mesh::Protocol::Tls,
        Protocol::Http1 => mesh::Protocol::Http1,
        Protocol::Http2 => mesh::Protocol::Http2,
        Protocol::Grpc => mesh::Protocol::Grpc,
    }) as i32
}

pub(super) fn labels(values: &[(Arc<str>, Arc<str>)]) -> Vec<mesh::Label> {
    let label = |(key, value): &(Arc<str>, Arc<str>)| mesh::Label {
        key: key.to_string(),
        value: value.to_string(),
    };
    values.iter().map(label).collect()
}

pub(super) fn locality(value: &Locality) -> Option<mesh::Locality> {
    (*value != Locality::default()).then(|| mesh::Locality {
        region: value.region.to_string(),
        zone: value.zone.to_string(),
        subzone: value.subzone.to_string(),
    })
}

pub(super) fn workload(value: &Workload) -> mesh::Workload {
    mesh::Workload {
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        instance: value.instance.to_string(),
        service_account: value.service_account.to_string(),
        trust_domain: value.trust_domain.to_string(),
        app: value.app.to_string(),
        version: value.version.to_string(),
        canonical_service: value.canonical_service.to_string(),
        canonical_revision: value.canonical_revision.to_string(),
        cluster: value.cluster.to_string(),
    }
}

/// A length of time; what is longer than 584 years becomes 584 years.
pub(super) fn nanos(value: Duration) -> u64 {
    u64::try_from(value.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn ports(values: &[u16]) -> Vec<u32> {
    values.iter().map(|port| u32::from(*port)).collect()
}

pub(super) fn text(value: Option<&str>) -> Option<String> {
    value.map(ToOwned::to_owned)
}
