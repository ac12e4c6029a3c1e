//! Copies of requests that are sent elsewhere, their answers dropped.

use crate::Chance;

/// A backend that gets copies (Gateway API `RequestMirror`, Istio `mirrors`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Index into [`Destination::backends`](crate::Destination::backends); `None` when the reference could not be
    /// resolved, so that nothing is sent.
    pub backend: Option<u32>,
    /// What was written, for messages.
    pub written: Box<str>,
    /// Part of the requests that is copied.
    pub chance: Chance,
}
