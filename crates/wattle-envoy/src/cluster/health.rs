//! Endpoints are asked now and then whether they are well.

use core::health_check::{GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::r#type::v3::{CodecClientType, Int64Range};
use wattle_model::traffic::{HealthCheck, HealthProbe};

use super::Wire;
use crate::notes::Notes;
use crate::proto::{duration, number};

/// The question as this cluster can ask it.
pub(super) fn check(check: &HealthCheck, wire: Wire, notes: &mut Notes) -> core::HealthCheck {
    let asked = match (&check.probe, wire) {
        (HealthProbe::Tcp, _) => HealthChecker::TcpHealthCheck(TcpHealthCheck::default()),
        (HealthProbe::Http { path, host }, _) => HealthChecker::HttpHealthCheck(HttpHealthCheck {
            host: host.to_string(),
            path: path.to_string(),
            expected_statuses: vec![Int64Range { start: 200, end: 400 }],
            codec_client_type: match wire {
                Wire::Http2 => CodecClientType::Http2.into(),
                Wire::Http1 | Wire::Opaque => CodecClientType::Http1.into(),
            },
            ..Default::default()
        }),
        (HealthProbe::Grpc { service }, Wire::Http2) => HealthChecker::GrpcHealthCheck(GrpcHealthCheck {
            service_name: service.to_string(),
            ..Default::default()
        }),
        (HealthProbe::Grpc { .. }, Wire::Http1 | Wire::Opaque) => {
            notes.gap("a gRPC health check of a backend that is spoken to by anything but HTTP/2: only a connection is asked for");
            HealthChecker::TcpHealthCheck(TcpHealthCheck::default())
        }
    };
    core::HealthCheck {
        timeout: Some(duration(check.timeout)),
        interval: Some(duration(check.interval)),
        healthy_threshold: number(check.healthy_after.max(1)),
        unhealthy_threshold: number(check.unhealthy_after.max(1)),
        health_checker: Some(asked),
        ..Default::default()
    }
}
