//! Delay: a request that waits on purpose before anything is sent (Istio `fault.delay`).

use std::time::Duration;

use wattle_telemetry::ResponseFlags;

use super::record::Record;

/// Longest wait, whatever the route says: one that is longer was not meant.
const LONGEST: Duration = Duration::from_secs(3600);

/// Waits. Requests that wait are bounded by the client's connections and streams; a client that goes away ends the wait.
pub(crate) async fn wait(delay: Duration, record: &mut Record) {
    record.flag(ResponseFlags::DELAY_INJECTED);
    tokio::time::sleep(delay.min(LONGEST)).await;
}
