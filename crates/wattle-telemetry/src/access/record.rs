//! What the access log tells about one request or connection.

use std::net::SocketAddr;
use std::time::SystemTime;

use jiff::Timestamp;

use super::json::Object;
use crate::edge::Reporter;
use crate::flags::ResponseFlags;

/// One request or TCP connection that has ended; texts that are empty are written as `null`, long ones are cut at 4 KiB.
///
/// There is no field for `authorization`, `cookie` or any other header that may hold a secret. A path's query may hold one: whoever fills
/// the record cuts it off where it must not be kept.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// `reporter`: which side of the hop writes the line, as in the metrics.
    pub reporter: Reporter,
    /// `instance`: the copy of the workload whose proxy writes it.
    pub instance: &'a str,
    /// `start_time`: when its first byte came.
    pub start: SystemTime,
    /// `method`.
    pub method: &'a str,
    /// `path`, with the query if that may be kept.
    pub path: &'a str,
    /// `authority`.
    pub authority: &'a str,
    /// `protocol`, such as `HTTP/1.1`.
    pub protocol: &'a str,
    /// `response_code`; 0 when there was no response.
    pub response_code: u16,
    /// `response_flags`.
    pub response_flags: ResponseFlags,
    /// `response_code_details`: the stable id of the reason of a local reply; empty means that the upstream answered.
    pub reason: &'static str,
    /// `reason_detail`: the stable id of what exactly was wrong, where the reason has several causes; else empty.
    pub detail: &'static str,
    /// `refusal_id`: names the facts that the proxy keeps of what it refused; else empty.
    pub refusal: &'a str,
    /// `audited_by`: the policy that marks it for auditing; else empty.
    pub audited_by: &'a str,
    /// `dry_run`: what the policies that are tried only would decide; else empty.
    pub dry_run: &'a str,
    /// `grpc_status`.
    pub grpc_status: Option<u32>,
    /// `bytes_received` from the downstream, of the body.
    pub bytes_received: u64,
    /// `bytes_sent` to the downstream, of the body.
    pub bytes_sent: u64,
    /// `duration` in milliseconds and `duration_us`: until the last byte was sent.
    pub duration_us: u64,
    /// `upstream_service_time` in milliseconds and `upstream_duration_us`: until the upstream began to answer.
    pub upstream_duration_us: Option<u64>,
    /// `upstream_host`.
    pub upstream: Option<SocketAddr>,
    /// `downstream_remote_address`.
    pub downstream: Option<SocketAddr>,
    /// `downstream_local_address`: where the downstream connected, or meant to.
    pub downstream_local: Option<SocketAddr>,
    /// `requested_server_name`: SNI.
    pub server_name: &'a str,
    /// `source_principal`: the peer's SPIFFE name.
    pub source_principal: &'a str,
    /// `destination_principal`.
    pub destination_principal: &'a str,
    /// `destination_service`.
    pub destination_service: &'a str,
    /// `route_name`.
    pub route: &'a str,
    /// `trace_id`.
    pub trace_id: &'a str,
    /// `user_agent`.
    pub user_agent: &'a str,
    /// `request_id`.
    pub request_id: &'a str,
    /// `x_forwarded_for`.
    pub forwarded_for: &'a str,
}

impl Default for AccessRecord<'_> {
    /// Nothing known, and the start at the epoch.
    fn default() -> Self {
        Self {
            reporter: Reporter::default(),
            instance: "",
            start: SystemTime::UNIX_EPOCH,
            method: "",
            path: "",
            authority: "",
            protocol: "",
            response_code: 0,
            response_flags: ResponseFlags::NONE,
            reason: "",
            detail: "",
            refusal: "",
            audited_by: "",
            dry_run: "",
            grpc_status: None,
            bytes_received: 0,
            bytes_sent: 0,
            duration_us: 0,
            upstream_duration_us: None,
            upstream: None,
            downstream: None,
            downstream_local: None,
            server_name: "",
            source_principal: "",
            destination_principal: "",
            destination_service: "",
            route: "",
            trace_id: "",
            user_agent: "",
            request_id: "",
            forwarded_for: "",
        }
    }
}

impl AccessRecord<'_> {
    /// Appends the record as one line of JSON, named as in Istio's default JSON access log where that has the field.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut line = Object::open(out);
        let start = Timestamp::try_from(self.start).ok();
        line.plain("start_time", start.map(Milliseconds));
        self.write_request(&mut line);
        self.write_response(&mut line);
        self.write_hop(&mut line);
        line.close();
    }

    fn write_request(&self, line: &mut Object<'_>) {
        line.text("method", self.method);
        line.text("path", self.path);
        line.text("authority", self.authority);
        line.text("protocol", self.protocol);
        line.text("user_agent", self.user_agent);
        line.text("request_id", self.request_id);
        line.text("x_forwarded_for", self.forwarded_for);
        line.text("trace_id", self.trace_id);
    }

    fn write_response(&self, line: &mut Object<'_>) {
        let reason = match self.reason {
            "" if self.response_code > 0 => "via_upstream",
            reason => reason,
        };
        line.number("response_code", u64::from(self.response_code));
        line.plain("response_flags", Some(self.response_flags));
        line.text("response_code_details", reason);
        line.text("reason_detail", self.detail);
        line.text("refusal_id", self.refusal);
        line.text("audited_by", self.audited_by);
        line.text("dry_run", self.dry_run);
        line.optional("grpc_status", self.grpc_status.map(u64::from));
        line.number("bytes_received", self.bytes_received);
        line.number("bytes_sent", self.bytes_sent);
        line.number("duration", self.duration_us / 1_000);
        line.number("duration_us", self.duration_us);
        let upstream_ms = self.upstream_duration_us.map(|us| us / 1_000);
        line.optional("upstream_service_time", upstream_ms);
        line.optional("upstream_duration_us", self.upstream_duration_us);
    }

    fn write_hop(&self, line: &mut Object<'_>) {
        line.text("reporter", self.reporter.as_str());
        line.text("instance", self.instance);
        line.plain("upstream_host", self.upstream);
        line.plain("downstream_remote_address", self.downstream);
        line.plain("downstream_local_address", self.downstream_local);
        line.text("requested_server_name", self.server_name);
        line.text("route_name", self.route);
        line.text("source_principal", self.source_principal);
        line.text("destination_principal", self.destination_principal);
        line.text("destination_service", self.destination_service);
    }
}

/// A time with exactly three decimals.
struct Milliseconds(Timestamp);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::json::MAX_TEXT;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::time::Duration;

    fn parsed(record: &AccessRecord<'_>) -> Value {
        let mut line = Vec::new();
        record.write_json(&mut line);
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_request_reads_as_istio_names_it() {
        let line = parsed(&AccessRecord {
            start: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_005),
            method: "GET",
            path: "/a?b=1",
            response_code: 503,
            response_flags: ResponseFlags::UPSTREAM_CONNECTION_FAILURE
                | ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED,
            reason: "connect_refused",
            duration_us: 12_345,
            upstream: Some(SocketAddr::from(([10, 0, 0, 1], 80))),
            ..AccessRecord::default()
        });
        assert_eq!(line["start_time"], "2023-11-14T22:13:20.005Z");
        assert_eq!(line["response_code"], 503);
        assert_eq!(line["response_flags"], "UF,URX");
        assert_eq!(line["response_code_details"], "connect_refused");
        assert_eq!(line["duration"], 12);
        assert_eq!(line["duration_us"], 12_345);
        assert_eq!(line["upstream_host"], "10.0.0.1:80");
        assert_eq!(line["upstream_service_time"], Value::Null);
        assert_eq!(line["authority"], Value::Null);
    }

    #[test]
    fn a_plain_answer_came_from_the_upstream() {
        let line = parsed(&AccessRecord {
            response_code: 200,
            ..AccessRecord::default()
        });
        assert_eq!(line["response_code_details"], "via_upstream");
        assert_eq!(line["response_flags"], "-");
    }

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        let Some(start) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1 << 60)) else {
            return;
        };
        let line = parsed(&AccessRecord {
            start,
            ..AccessRecord::default()
        });
        assert_eq!(line["start_time"], Value::Null);
    }

    #[test]
    fn long_texts_are_cut() {
        let path = "/é".repeat(10_000);
        let line = parsed(&AccessRecord {
            path: &path,
            ..AccessRecord::default()
        });
        let kept = line["path"].as_str().unwrap();
        assert!(kept.len() <= MAX_TEXT && path.starts_with(kept));
    }

    proptest! {
        #[test]
        fn whatever_a_peer_sends_comes_back_out_of_the_line(
            path in ".{0,80}", agent in proptest::collection::vec(any::<char>(), 0..80), bytes: u64
        ) {
            let agent: String = agent.into_iter().collect();
            let line = parsed(&AccessRecord {
                path: &path,
                user_agent: &agent,
                bytes_sent: bytes,
                ..AccessRecord::default()
            });
            let text = |name: &str| line[name].as_str().unwrap_or("").to_owned();
            prop_assert_eq!(text("path"), path);
            prop_assert_eq!(text("user_agent"), agent);
            prop_assert_eq!(line["bytes_sent"].as_u64(), Some(bytes));
        }
    }
}
