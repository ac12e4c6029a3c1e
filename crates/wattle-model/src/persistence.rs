//! Sessions that stay with one endpoint (GEP-1619).

use std::time::Duration;

use http::HeaderName;

/// How a session is told, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPersistence {
    /// Where the session's token travels.
    pub carrier: SessionCarrier,
    /// The session ends so long after it began; `None` never.
    pub absolute_timeout: Option<Duration>,
}

/// Where a session's token travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCarrier {
    /// A cookie of this name.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// It outlives the browser (`Max-Age` is the absolute timeout); otherwise it ends with it.
        permanent: bool,
        /// Its path.
        path: Box<str>,
    },
    /// A header of this name, in responses and then in requests.
    Header(HeaderName),
}
