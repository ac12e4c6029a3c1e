//! Which tries are repeated: the policy of a route, and the decision about one outcome.

use std::time::Duration;

use crate::{Reason, Retry};

/// When a request is sent again (Gateway API `retry`, Istio `retries`, Linkerd's annotations). What nobody has acted on
/// is sent again without any policy, see [`Reason::retry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries after the first; 0 turns off even the repetition of what nobody has acted on. At most [`Self::MAX_ATTEMPTS`].
    pub attempts: u32,
    /// Outcomes that are repeated.
    pub on: RetryOn,
    /// Wait before the first repetition; it doubles, give or take, up to [`Self::max_backoff`].
    pub backoff: Duration,
    /// Longest wait.
    pub max_backoff: Duration,
    /// Requests whose method is not idempotent (RFC 9110 §9.2.2) are repeated too, even after a backend may have acted
    /// on them (Istio's behaviour; ours is not to).
    pub unsafe_methods: bool,
    /// A second try starts when the first has not answered for so long, and the first answer counts; `None`, the
    /// default, never.
    pub hedge_after: Option<Duration>,
    /// Another endpoint is preferred for each try.
    pub another_endpoint: bool,
}

/// Outcomes of a try that a policy repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// By what happened to the connection or the exchange.
    pub conditions: RetryConditions,
    /// HTTP statuses, inclusive ranges.
    pub statuses: Vec<(u16, u16)>,
    /// gRPC statuses as a set of bits, status `n` is bit `n`.
    pub grpc: u32,
}

/// Envoy's retry conditions that are not statuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryConditions {
    /// No connection came about (`connect-failure`).
    pub connect_failure: bool,
    /// The backend refused the stream (`refused-stream`).
    pub refused_stream: bool,
    /// The connection broke before an answer began, or the try's time was up (`reset`).
    pub reset: bool,
    /// As `reset`, and the request had not been sent as a whole (`reset-before-request`).
    pub reset_before_request: bool,
    /// The try's time was up.
    pub timeout: bool,
}

/// How one try ended without an answer that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// This side's own reason: no connection, a reset, a time limit.
    Failed(Reason),
    /// The same, before the request had been sent as a whole.
    Unsent(Reason),
    /// An answer with this HTTP status, and gRPC status where the head tells it.
    Answered {
        /// HTTP status.
        status: u16,
        /// gRPC status, 0 to 16.
        grpc: Option<u8>,
    },
}

impl RetryPolicy {
    /// Most repetitions of one request.
    pub const MAX_ATTEMPTS: u32 = 20;
    /// Wait before the first repetition where nobody says (Envoy's default).
    pub const BACKOFF: Duration = Duration::from_millis(25);

    /// Is a request that ended so sent again? `idempotent` by its method.
    pub fn repeats(&self, ended: TryResult, idempotent: bool) -> bool {
        match ended {
            TryResult::Failed(reason) | TryResult::Unsent(reason) => {
                let unsent = matches!(ended, TryResult::Unsent(_));
                let safe = match reason.retry() {
                    Retry::Safe => return self.attempts > 0,
                    Retry::Idempotent => idempotent || self.unsafe_methods,
                    Retry::Never => false,
                };
                safe && self.on.conditions.includes(reason, unsent)
            }
            TryResult::Answered { status, grpc } => {
                (idempotent || self.unsafe_methods || grpc.is_some()) && self.on.includes(status, grpc)
            }
        }
    }

    /// The longest wait before repetition `number`, from 1; the caller draws one between none and this (Envoy's full
    /// jitter).
    pub fn wait(&self, number: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << number.saturating_sub(1).min(16));
        doubled.min(self.max_backoff)
    }
}

impl RetryConditions {
    fn includes(self, reason: Reason, unsent: bool) -> bool {
        match reason {
            Reason::UpstreamResetBeforeResponse | Reason::UpstreamProtocolError => {
                self.reset || (unsent && self.reset_before_request)
            }
            Reason::BackendTimeout => self.timeout || self.reset,
            Reason::UpstreamRefusedStream => self.refused_stream,
            // The time of the whole request is over.
            Reason::RequestTimeout => false,
            _ => self.connect_failure,
        }
    }
}

impl RetryOn {
    /// Istio's `5xx`.
    pub const SERVER_ERRORS: (u16, u16) = (500, 599);
    /// Istio's `gateway-error`.
    pub const GATEWAY_ERRORS: (u16, u16) = (502, 504);

    /// Is an answer with these statuses repeated?
    pub fn includes(&self, status: u16, grpc: Option<u8>) -> bool {
        let by_status = self
            .statuses
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status));
        by_status || grpc.is_some_and(|status| status < 32 && self.grpc & (1 << status) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            attempts: 2,
            on: RetryOn {
                conditions: RetryConditions {
                    reset: true,
                    ..RetryConditions::default()
                },
                statuses: vec![RetryOn::GATEWAY_ERRORS, (409, 409)],
                grpc: 1 << 14,
            },
            backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            unsafe_methods: false,
            hedge_after: None,
            another_endpoint: true,
        }
    }

    #[test]
    fn what_a_backend_may_have_acted_on_is_repeated_only_if_that_is_safe() {
        let reset = TryResult::Failed(Reason::UpstreamResetBeforeResponse);
        let bad_gateway = TryResult::Answered {
            status: 502,
            grpc: None,
        };
        let unsafe_too = RetryPolicy {
            unsafe_methods: true,
            ..policy()
        };
        for ended in [reset, bad_gateway] {
            assert!(policy().repeats(ended, true));
            assert!(!policy().repeats(ended, false));
            assert!(unsafe_too.repeats(ended, false));
        }
    }

    #[test]
    fn only_named_outcomes_are_repeated() {
        let answered = |status, grpc| TryResult::Answered { status, grpc };
        let table = [
            (answered(503, None), true),
            (answered(409, None), true),
            (answered(500, None), false),
            (answered(200, Some(14)), true),
            (answered(200, Some(13)), false),
            (TryResult::Failed(Reason::BackendTimeout), true),
            (TryResult::Failed(Reason::RequestTimeout), false),
            (TryResult::Failed(Reason::UpstreamConnectFailure), true),
            (TryResult::Failed(Reason::BadRequest), false),
        ];
        for (ended, expected) in table {
            assert_eq!(policy().repeats(ended, true), expected, "{ended:?}");
        }
        let off = RetryPolicy {
            attempts: 0,
            ..policy()
        };
        assert!(!off.repeats(TryResult::Failed(Reason::UpstreamConnectFailure), true));
    }

    #[test]
    fn a_reset_before_the_request_was_sent_as_a_whole_is_a_condition_of_its_own() {
        let mut early = policy();
        early.on.conditions = RetryConditions {
            reset_before_request: true,
            ..RetryConditions::default()
        };
        let reason = Reason::UpstreamResetBeforeResponse;
        assert!(early.repeats(TryResult::Unsent(reason), true));
        assert!(!early.repeats(TryResult::Unsent(reason), false));
        assert!(!early.repeats(TryResult::Failed(reason), true));
        assert!(policy().repeats(TryResult::Unsent(reason), true));
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let waits: Vec<_> = (1..=6).map(|number| policy().wait(number).as_millis()).collect();
        assert_eq!(waits, [25, 50, 100, 200, 250, 250]);
        assert_eq!(policy().wait(u32::MAX).as_millis(), 250);
    }
}
