//! Relay: the exchange and record of an opaque connection.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use wattle_model::Reason;
use wattle_net::{RelayOptions, Stream, relay::Ending, relay::Side};
use wattle_telemetry::access::AccessRecord;
use wattle_telemetry::{ResponseFlags, TcpMetrics};

use super::record::Names;
use super::reply;
use crate::worker::{Proof, Worker};

/// Why what was carried must end.
pub(crate) struct Withdrawn {
    /// Stable id.
    pub(crate) reason: &'static str,
    pub(crate) flags: ResponseFlags,
    /// Where the facts are kept.
    pub(crate) refusal: Option<Rc<str>>,
}

/// Whether a connection, or a tunnel, may go on: ready when it must end, and then it says why.
pub(crate) struct Staying {
    pub(crate) judging: Pin<Box<dyn Future<Output = ()>>>,
    pub(crate) why: Rc<OnceCell<Withdrawn>>,
}

impl Staying {
    /// For as long as the peer that was dialled is believed.
    pub(crate) fn believed(proof: Rc<Proof>) -> Self {
        let why = Rc::new(OnceCell::new());
        let told = why.clone();
        let judging = async move {
            let withdrawn = Withdrawn {
                reason: proof.rejected().await.id(),
                flags: reply::flags(Reason::UpstreamTlsFailure),
                refusal: None,
            };
            let _ = told.set(withdrawn);
        };
        Self {
            judging: Box::pin(judging),
            why,
        }
    }
}

/// An opaque connection for the log.
pub(crate) struct Opaque {
    pub(crate) downstream: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) names: Names,
    /// Time without a byte, and life of the connection, by the backend's policy.
    pub(crate) limits: (Option<Duration>, Option<Duration>),
    /// `None`: for as long as it likes.
    pub(crate) staying: Option<Staying>,
    pub(crate) start: SystemTime,
    pub(crate) start_ns: u64,
}

impl Opaque {
    pub(crate) fn begin(worker: &Worker, downstream: SocketAddr, local: SocketAddr) -> Self {
        Self {
            downstream,
            local,
            upstream: None,
            names: Names::default(),
            limits: (None, None),
            staying: None,
            start: worker.clock.wall(),
            start_ns: worker.clock.now_ns(),
        }
    }

    /// Carries bytes until both sides are done, then records it.
    pub(crate) async fn carry(
        mut self,
        worker: &Rc<Worker>,
        metrics: Rc<TcpMetrics>,
        downstream: Stream,
        upstream: Stream,
    ) {
        metrics.opened();
        let counted = metrics.clone();
        let (withdrawn, why) = match self.staying.take() {
            Some(Staying { judging, why }) => (Some(judging), Some(why)),
            None => (None, None),
        };
        let options = RelayOptions {
            idle_timeout: self.limits.0,
            life: self.limits.1,
            draining: Some(worker.draining.clone()),
            withdrawn,
            // As they move: a database's connection may be open for days.
            progress: Some(Rc::new(move |to_upstream, to_downstream| {
                counted.moved(to_downstream, to_upstream);
            })),
        };
        let outcome = wattle_net::relay(downstream, upstream, options).await;
        let (mut reason, mut flags) = ("", flags(&outcome.ending));
        if let (Ending::Withdrawn, Some(why)) = (&outcome.ending, why.as_deref().and_then(OnceCell::get)) {
            (reason, flags) = (why.reason, why.flags);
            self.names.refusal = why.refusal.clone();
        }
        metrics.closed(flags);
        self.log(
            worker,
            reason,
            flags,
            (outcome.to_upstream_bytes, outcome.to_downstream_bytes),
        );
    }

    /// Records a connection that was not carried.
    pub(crate) fn refused(
        self,
        worker: &Worker,
        metrics: Option<&TcpMetrics>,
        reason: &'static str,
        flags: ResponseFlags,
    ) {
        if let Some(metrics) = metrics {
            metrics.opened();
            metrics.closed(flags);
        }
        self.log(worker, reason, flags, (0, 0));
    }

    fn log(&self, worker: &Worker, reason: &'static str, flags: ResponseFlags, (received, sent): (u64, u64)) {
        let Some(access) = &worker.access else { return };
        access.borrow_mut().log(&AccessRecord {
            reporter: self.names.reporter,
            instance: &worker.settings.instance,
            start: self.start,
            protocol: "TCP",
            response_flags: flags,
            reason,
            refusal: self.names.refusal.as_deref().unwrap_or_default(),
            audited_by: self.names.audited_by.as_deref().unwrap_or_default(),
            dry_run: self.names.dry_run.as_deref().unwrap_or_default(),
            bytes_received: received,
            bytes_sent: sent,
            duration_us: (worker.clock.now_ns() - self.start_ns) / 1000,
            upstream: self.upstream,
            downstream: Some(self.downstream),
            downstream_local: Some(self.local),
            source_principal: self.names.source.as_deref().unwrap_or_default(),
            destination_principal: self.names.destination(worker),
            destination_service: self.names.service.as_deref().unwrap_or_default(),
            route: self.names.route.as_deref().unwrap_or_default(),
            server_name: self.names.server_name.as_deref().unwrap_or_default(),
            ..AccessRecord::default()
        });
    }
}

fn flags(ending: &Ending) -> ResponseFlags {
    match ending {
        Ending::Closed { .. } => ResponseFlags::NONE,
        Ending::Failed {
            side: Side::Downstream,
            ..
        } => ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION,
        Ending::Failed {
            side: Side::Upstream, ..
        } => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
        Ending::Idle => ResponseFlags::STREAM_IDLE_TIMEOUT,
        Ending::Expired => ResponseFlags::DURATION_TIMEOUT,
        Ending::Cut | Ending::Withdrawn => ResponseFlags::LOCAL_RESET,
    }
}
