//! Why a request or connection was not carried as asked: stable ids for header `wattle-reason`, logs and metrics.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $id:literal, $status:literal, $flag:literal, $retry:ident, $sentence:literal;)+) => {
        /// A stable reason of a local reply or refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The id, in snake case; never changes once released.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// HTTP status of the local reply.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Envoy's response flag for the access log; `-` where Envoy has none.
            pub fn flag(self) -> &'static str {
                match self { $(Self::$name => $flag,)+ }
            }

            /// One sentence that may be shown to the peer: it names no address, identity or policy.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// How a caller may repeat the request.
            pub fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)+ }
            }
        }
    };
}

/// Whether sending a request again may help, and whether that is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No application has seen the request: any request may be sent again.
    Safe,
    /// An application may have acted on it: only an idempotent request may be sent again.
    Idempotent,
    /// The same request gets the same answer.
    Never,
}

reasons! {
    /// Routes exist for the destination and none matched.
    NoRoute = "no_route", 404, "NR", Never, "no route matches the request";
    /// The rule that matched has no usable backend for this share.
    NoBackend = "no_backend", 500, "NC", Never, "the matching route refers to no usable backend";
    /// The backend exists and has no endpoint at all.
    NoEndpoints = "no_endpoints", 503, "UH", Safe, "the backend has no endpoints";
    /// The backend has endpoints, and none may be picked.
    NoHealthyEndpoint = "no_healthy_endpoint", 503, "UH", Safe, "no endpoint of the backend is healthy";
    /// The control plane knows no such destination, and traffic to unknown ones is not passed through.
    UnknownDestination = "unknown_destination", 502, "NR", Never, "the destination is not known";
    /// The control plane has not answered for this destination and nothing is kept from before.
    ConfigUnavailable = "config_unavailable", 503, "NC", Safe, "the configuration of the destination is not available yet";
    /// A DENY policy matched.
    PolicyDenied = "policy_denied", 403, "-", Never, "refused by an authorization policy";
    /// ALLOW policies exist and none matched.
    PolicyNotAllowed = "policy_not_allowed", 403, "-", Never, "not allowed by any authorization policy";
    /// Mutual TLS is required on this port and the connection was plaintext.
    MtlsRequired = "mtls_required", 403, "-", Never, "mutual TLS is required";
    /// The client's certificate was refused.
    DownstreamTlsFailure = "downstream_tls_failure", 403, "-", Never, "the client's certificate was refused";
    /// The TCP connection to the endpoint failed.
    UpstreamConnectFailure = "upstream_connect_failure", 503, "UF", Safe, "the connection to the backend failed";
    /// The TCP connection to the endpoint took too long.
    UpstreamConnectTimeout = "upstream_connect_timeout", 503, "UF", Safe, "the connection to the backend timed out";
    /// The endpoint's certificate is valid and names another workload.
    UpstreamTlsIdentity = "upstream_tls_identity", 503, "UF", Safe, "the backend's identity is not the expected one";
    /// The endpoint's certificate is of a trust domain that is not known here.
    UpstreamTrustDomain = "upstream_trust_domain", 503, "UF", Safe, "the backend is of a trust domain that is not known";
    /// The endpoint's certificate does not lead to a trusted root.
    UpstreamCertificateUntrusted = "upstream_certificate_untrusted", 503, "UF", Safe,
        "the backend's certificate is not of a trusted issuer";
    /// The endpoint's certificate has expired or is not valid yet.
    UpstreamCertificateExpired = "upstream_certificate_expired", 503, "UF", Safe, "the backend's certificate is not valid now";
    /// The TLS handshake with the endpoint failed.
    UpstreamTlsFailure = "upstream_tls_failure", 503, "UF", Safe, "the secure connection to the backend failed";
    /// The endpoint closed the connection before it answered.
    UpstreamResetBeforeResponse = "upstream_reset_before_response", 503, "UC", Idempotent,
        "the backend closed the connection before it answered";
    /// The endpoint refused the HTTP/2 stream before it did anything.
    UpstreamRefusedStream = "upstream_refused_stream", 503, "UR", Safe, "the backend refused the stream";
    /// The endpoint's answer is not valid HTTP.
    UpstreamProtocolError = "upstream_protocol_error", 502, "UPE", Idempotent, "the backend's answer is not valid";
    /// The route's limit for the whole exchange passed.
    RequestTimeout = "request_timeout", 504, "UT", Idempotent, "the request took longer than its route allows";
    /// The route's limit for one try at a backend passed.
    BackendTimeout = "backend_timeout", 504, "UT", Idempotent, "the backend took longer than the route allows";
    /// The client's request is not valid HTTP.
    BadRequest = "bad_request", 400, "DPE", Never, "the request is not valid HTTP";
    /// The client took too long to send its request's head.
    RequestHeadTimeout = "request_head_timeout", 408, "DPE", Never, "the request's head took too long to arrive";
    /// The request's target is longer than the limit.
    RequestTargetTooLong = "request_target_too_long", 414, "DPE", Never, "the request's target is too long";
    /// The request's headers are larger or more than the limit.
    RequestHeaderTooLarge = "request_header_too_large", 431, "DPE", Never, "the request's headers are too large";
    /// A transfer coding other than chunked.
    UnsupportedTransferEncoding = "unsupported_transfer_encoding", 501, "DPE", Never, "the transfer coding is not supported";
    /// An HTTP version other than 1.0, 1.1 and 2.
    UnsupportedHttpVersion = "unsupported_http_version", 505, "DPE", Never, "the HTTP version is not supported";
    /// The request's body broke off or was malformed.
    RequestBodyBroken = "request_body_broken", 400, "DPE", Never, "the request's body is not complete";
    /// A limit of this proxy on connections, streams or memory is reached.
    Overload = "overload", 503, "UO", Safe, "too many requests are in progress";
    /// This proxy is finishing and takes no new requests.
    Draining = "draining", 503, "-", Safe, "the proxy is shutting down";
    /// The request has passed this proxy before.
    LoopDetected = "loop_detected", 508, "-", Never, "the request goes in a circle";
    /// A bug of the proxy; the log has the details.
    Internal = "internal", 500, "-", Never, "an internal error";
    /// A rule injects a fault on purpose; the status is the rule's.
    FaultInjected = "fault_injected", 503, "FI", Never, "a fault was injected by the route";
    /// A limit on the backend's connections or requests is reached (circuit breaking).
    UpstreamOverflow = "upstream_overflow", 503, "UO", Safe, "too many requests to the backend are in progress";
    /// The workload takes no more requests of this kind now.
    RateLimited = "rate_limited", 429, "RL", Never, "too many requests";
    /// The service that counts requests did not answer, and requests without its word are refused.
    RateLimitServiceFailure = "rate_limit_service_failure", 500, "RLSE", Safe, "the rate limit service did not answer";
    /// No policy lets the workload call this destination.
    EgressNotAllowed = "egress_not_allowed", 403, "-", Never, "the destination may not be called from here";
    /// The name of the backend could not be resolved.
    UpstreamNameFailure = "upstream_name_failure", 503, "DF", Safe, "the name of the backend cannot be resolved";
    /// The proxy that the connection is tunnelled through refused it.
    UpstreamTunnelFailure = "upstream_tunnel_failure", 503, "UF", Safe, "the tunnel to the backend failed";
    /// Nothing was sent in either direction for longer than the route allows.
    IdleTimeout = "idle_timeout", 504, "SI", Never, "the exchange was idle for longer than its route allows";
    /// The request's token is not valid here; the log says why.
    TokenInvalid = "token_invalid", 401, "-", Never, "the token is not valid";
    /// The service that policies ask refused the request.
    ExternalDenied = "external_denied", 403, "UAEX", Never, "refused by external authorization";
    /// The service that policies ask did not answer, and requests without its word are refused.
    ExternalFailure = "external_failure", 403, "UAEX", Safe, "external authorization did not answer";
    /// The client stopped in the middle of its request's body.
    RequestBodyTimeout = "request_body_timeout", 408, "DPE", Never, "the request's body took too long to arrive";
    /// The name of the backend leads to addresses that a name of the outside must not lead to.
    UpstreamAddressRefused = "upstream_address_refused", 502, "DF", Never, "the name of the backend leads to no usable address";
}

impl Reason {
    /// True when no application has seen the request, so that any request may be sent again.
    pub fn safe_to_retry(self) -> bool {
        self.retry() == Retry::Safe
    }

    /// The reason with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.id() == id)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Released ids: a line may be added here, never changed or removed.
    const RELEASED: &str = "no_route no_backend no_endpoints no_healthy_endpoint unknown_destination config_unavailable \
        policy_denied policy_not_allowed mtls_required downstream_tls_failure upstream_connect_failure \
        upstream_connect_timeout upstream_tls_identity upstream_trust_domain upstream_certificate_untrusted \
        upstream_certificate_expired upstream_tls_failure upstream_reset_before_response \
        upstream_refused_stream upstream_protocol_error request_timeout backend_timeout bad_request \
        request_head_timeout request_target_too_long request_header_too_large unsupported_transfer_encoding \
        unsupported_http_version request_body_broken overload draining loop_detected internal fault_injected \
        upstream_overflow rate_limited rate_limit_service_failure egress_not_allowed upstream_name_failure \
        upstream_tunnel_failure idle_timeout token_invalid external_denied external_failure \
        request_body_timeout upstream_address_refused";

    #[test]
    fn ids_are_stable() {
        let ids: Vec<_> = Reason::ALL.iter().map(|reason| reason.id()).collect();
        assert_eq!(ids.join(" "), RELEASED);
    }

    #[test]
    fn ids_are_unique_and_lead_back() {
        let ids: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.id()).collect();
        assert_eq!(ids.len(), Reason::ALL.len());
        assert!(
            Reason::ALL
                .iter()
                .all(|reason| Reason::from_id(reason.id()) == Some(*reason))
        );
    }

    #[test]
    fn every_local_reply_is_an_error_with_a_sentence() {
        for reason in Reason::ALL {
            assert!((400..=599).contains(&reason.status()), "{}", reason.id());
            assert!(
                !reason.sentence().ends_with('.') && !reason.sentence().is_empty(),
                "{}",
                reason.id()
            );
        }
    }

    #[test]
    fn what_an_application_may_have_seen_is_not_safe_to_retry() {
        assert!(Reason::UpstreamConnectFailure.safe_to_retry());
        assert!(!Reason::UpstreamResetBeforeResponse.safe_to_retry());
        assert!(!Reason::PolicyDenied.safe_to_retry());
    }
}
