//! The figures a demo ends with, as `wattle demo -o json` prints them.

use crate::intruder::Intrusion;
use crate::load::{Figures, Phase};
use crate::manifests::Weights;
use crate::script::{DENIED, STEADY};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The figures of a demo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Requests the load made.
    pub requests: u64,
    /// Those answered rightly, as a share from 0 to 1; 0 when there were none.
    pub success_rate: f64,
    /// Median latency in ms, as the load saw it.
    pub p50_ms: f64,
    /// 99th percentile of latency in ms.
    pub p99_ms: f64,
    /// Who called whom.
    pub edges: Vec<Edge>,
    /// The canary of `reviews` before it was shifted.
    pub canary: Canary,
    /// The intruder's call that the demo explains.
    pub denied: Denied,
    /// The load phase by phase, for whoever wants to look closer.
    pub phases: Vec<Phase>,
    /// The first few different errors the load met; empty when all went well.
    pub errors: Vec<String>,
}

/// Who called whom, how often, and how well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// The calling workload.
    pub source: String,
    /// The service called.
    pub destination: String,
    /// `http`, `grpc` or `tcp`.
    pub protocol: String,
    /// Whether all of it went over mTLS.
    pub mtls: bool,
    /// Requests; connections where the protocol is `tcp`.
    pub requests: u64,
    /// Those without an error, as a share from 0 to 1; 0 when there were none.
    pub success_rate: f64,
}

/// The share of requests that the new version got.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// By the route's weights, 0 to 1.
    pub expected: f64,
    /// As the load saw it, 0 to 1; 0 when it saw none.
    pub observed: f64,
}

/// What somebody without permission is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// HTTP status; 0 when the intruder got no answer.
    pub status: u16,
    /// Reason, from the header `wattle-reason`; empty when there was none.
    pub reason: String,
}

impl Summary {
    /// From what the load and the intruder told last, and the edges the mesh saw.
    pub fn new(load: &Figures, intrusion: &Intrusion, edges: Vec<Edge>) -> Self {
        Self {
            requests: load.requests,
            success_rate: success_rate(load.requests, load.failures),
            p50_ms: load.p50_ms,
            p99_ms: load.p99_ms,
            edges,
            canary: Canary::of(load),
            denied: Denied::of(intrusion),
            phases: load.phases.clone(),
            errors: load.errors.clone(),
        }
    }
}

impl Canary {
    /// Of the phase in which the weights were 90 to 10.
    fn of(load: &Figures) -> Self {
        let steady = load.phases.iter().find(|phase| phase.name == STEADY);
        let observed = steady.and_then(|phase| phase.share("v2")).unwrap_or(0.0);
        Self {
            expected: Weights::CANARY.share_of_v2(),
            observed,
        }
    }
}

impl Denied {
    fn of(intrusion: &Intrusion) -> Self {
        let attempt = intrusion.on(DENIED.destination);
        let status = attempt.and_then(|attempt| attempt.status).unwrap_or(0);
        let reason = attempt
            .and_then(|attempt| attempt.reason.clone())
            .unwrap_or_default();
        Self { status, reason }
    }
}

/// The last line of a log that is such an object; other lines in it, and a last one cut short, are passed over.
///
/// Reads what the load ([`Figures`]) and the intruder ([`Intrusion`]) wrote.
pub fn last_told<T: DeserializeOwned>(log: &str) -> Option<T> {
    log.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

/// The share of requests that did not fail, 0 to 1; 0 when there were none: silence is no success.
pub fn success_rate(requests: u64, failures: u64) -> f64 {
    if requests == 0 {
        0.0
    } else {
        requests.saturating_sub(failures) as f64 / requests as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LOAD: &str = r#"{"elapsed_s":20.0,"requests":3000,"failures":3,"shed":0,"errors":["web: late"],
        "p50_ms":2.5,"p99_ms":9.0,"reviews":{"v1":1200,"v2":1300},"last":true,"phases":[
        {"name":"start","since_s":0.0,"requests":100,"failures":3,"reviews":{"v1":80}},
        {"name":"steady","since_s":0.7,"requests":1300,"failures":0,"reviews":{"v1":975,"v2":125}},
        {"name":"all","since_s":9.1,"requests":1600,"failures":0,"reviews":{"v1":145,"v2":1175}}]}"#;
    const INTRUSION: &str = r#"{"attempts":[{"destination":"cart","method":"GET","url":"http://cart:9080/cart/visitor-1",
        "tries":20,"let_in":0,"status":403,"reason":"policy-denied","text":"no"}]}"#;

    #[test]
    fn a_summary_holds_what_the_demo_promises() {
        let edge = Edge {
            source: "web".to_owned(),
            destination: "catalog".to_owned(),
            protocol: "http".to_owned(),
            mtls: true,
            requests: 2500,
            success_rate: 1.0,
        };
        let (load, intrusion) = (
            serde_json::from_str(LOAD).unwrap(),
            serde_json::from_str(INTRUSION).unwrap(),
        );
        let summary = Summary::new(&load, &intrusion, vec![edge]);
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["requests"], 3000);
        assert_eq!(json["success_rate"], 0.999);
        assert_eq!(json["edges"][0]["mtls"], true);
        assert_eq!(
            json["denied"],
            serde_json::json!({"status": 403, "reason": "policy-denied"})
        );
        assert_eq!(json["canary"]["expected"], 0.1);
        assert_eq!(json["canary"]["observed"], 125.0 / 1100.0);
    }

    #[test]
    fn the_last_whole_line_of_a_log_counts() {
        let line = INTRUSION.replace('\n', " ");
        let log = format!(
            "{{\"attempts\":[]}}\n{line}\nWARN something else\n{}",
            &line[..40]
        );
        let found: Intrusion = last_told(&log).unwrap();
        assert_eq!(found.attempts.len(), 1);
        assert_eq!(last_told::<Figures>(&log), None);
    }

    #[test]
    fn nothing_seen_is_no_success() {
        let summary = Summary::new(&Figures::default(), &Intrusion::default(), vec![]);
        assert_eq!(
            (
                summary.success_rate,
                summary.canary.observed,
                summary.denied.status
            ),
            (0.0, 0.0, 0)
        );
    }
}
