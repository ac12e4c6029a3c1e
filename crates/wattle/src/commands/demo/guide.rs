//! Doing what the demo's script says, and showing it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use wattle_control::explain::{Explanation, Question};
use wattle_demo::begin_phase;
use wattle_demo::manifests::{NAMESPACE, Weights, reviews_route};
use wattle_demo::script::{Action, Call, Replica, Step, TOUR, steps};
use wattle_telemetry::Snapshot;

use crate::mesh::view::Status as ControlStatus;
use crate::mesh::{Place, ask};
use crate::output::Format;
use crate::supervisor::status::{Phase, Status};
use crate::view::golden::{Counted, Report, report};
use crate::view::progress::spinner;

use super::show::Show;

/// Between two looks at what is awaited.
const GLANCE: Duration = Duration::from_millis(100);

/// Between two tables.
const TABLE: Duration = Duration::from_secs(1);

/// Longest wait for all processes to be ready.
const START: Duration = Duration::from_secs(120);

/// Longest wait for all proxies to have a new route.
const SYNC: Duration = Duration::from_secs(10);

/// Whoever leads through the demo.
pub(super) struct Guide {
    place: Place,
    manifests: PathBuf,
    run_for: Option<Duration>,
    show: Show,
    previous: Option<(Snapshot, Instant)>,
    last: Option<Report>,
}

impl Guide {
    pub(super) fn new(place: Place, manifests: PathBuf, run_for: Option<Duration>, format: Format) -> Self {
        Self {
            place,
            manifests,
            run_for,
            show: Show::new(format),
            previous: None,
            last: None,
        }
    }

    /// Leads until the time is over or the mesh is gone, whoever ended it; gives the edges as last seen and what is still to be told.
    pub(super) fn run(mut self) -> anyhow::Result<(Option<Report>, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the guide's event loop")?;
        runtime.block_on(async {
            let led = self.lead().await;
            // A mesh that was interrupted does not answer any more: that is no failure of the demo.
            if self.is_alive().await {
                self.drain().await?;
                led?;
            } else if self.last.is_none() {
                led?;
            }
            Ok((self.last, self.show.into_rest()))
        })
    }

    async fn lead(&mut self) -> anyhow::Result<()> {
        self.wait_until_ready().await?;
        let begun = Instant::now();
        for step in steps(self.run_for.unwrap_or(TOUR)) {
            self.watch_until(begun + step.at).await?;
            self.act(&step).await?;
        }
        match self.run_for {
            Some(length) => self.watch_until(begun + length).await,
            None => loop {
                self.watch_until(Instant::now() + TABLE).await?;
            },
        }
    }

    async fn is_alive(&self) -> bool {
        ask::get::<Value>(&self.place.supervisor_socket(), "/mesh")
            .await
            .is_ok()
    }

    async fn drain(&self) -> anyhow::Result<()> {
        ask::post::<Value>(&self.place.supervisor_socket(), "/drain", Bytes::new())
            .await
            .map(drop)
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let progress = spinner("starting the mesh");
        let ready = timeout_at(Instant::now() + START, self.all_ready(&progress)).await;
        progress.finish_and_clear();
        ready.context("the demo's processes were not ready in time")
    }

    async fn all_ready(&self, progress: &ProgressBar) {
        loop {
            let statuses: Vec<Status> = ask::get(&self.place.supervisor_socket(), "/processes")
                .await
                .unwrap_or_default();
            let ready = statuses
                .iter()
                .filter(|status| status.phase == Phase::Ready)
                .count();
            if ready > 0 && ready == statuses.len() {
                return;
            }
            progress.set_message(format!("{ready} of {} processes are ready", statuses.len()));
            sleep(GLANCE).await;
        }
    }

    /// Shows the table every second until then.
    async fn watch_until(&mut self, end: Instant) -> anyhow::Result<()> {
        loop {
            self.look().await?;
            let next = Instant::now() + TABLE;
            tokio::time::sleep_until(next.min(end)).await;
            if next >= end {
                return self.look().await;
            }
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let now: (Snapshot, Instant) = (
            ask::get(&self.place.supervisor_socket(), "/stats").await?,
            Instant::now(),
        );
        let is_old = |(_, at): &(Snapshot, Instant)| now.1 - *at >= TABLE / 2;
        if let Some((earlier, at)) = self.previous.as_ref().filter(|previous| is_old(previous)) {
            let lately = Some((now.0.since(earlier), now.1 - *at));
            let report = report(
                &Counted {
                    total: now.0.clone(),
                    lately,
                },
                None,
            );
            self.show.table(&report)?;
            self.last = Some(report);
        }
        if self.previous.as_ref().is_none_or(is_old) {
            self.previous = Some(now);
        }
        Ok(())
    }

    async fn act(&mut self, step: &Step) -> anyhow::Result<()> {
        self.show.title(step.title)?;
        match &step.action {
            Action::Watch(_) => {}
            Action::Shift(weights) => {
                // While the weights change, requests belong to neither phase.
                self.begin("shifting")?;
                self.shift(*weights).await?;
            }
            Action::Kill(replica) => self.kill(replica).await?,
            Action::Explain(call) => self.explain(call).await?,
        }
        self.begin(step.phase)
    }

    fn begin(&self, phase: &str) -> anyhow::Result<()> {
        let data = self.place.data().join(format!("{NAMESPACE}.load"));
        begin_phase(&data, phase).with_context(|| format!("cannot begin the phase {phase}"))
    }

    /// Edits the route as a user would, and waits until every proxy has it.
    async fn shift(&self, weights: Weights) -> anyhow::Result<()> {
        let before = self.versions().await?;
        reviews_route(weights).write_to(&self.manifests)?;
        let taken = timeout_at(Instant::now() + SYNC, self.all_synced(&before)).await;
        taken.context("not every proxy has taken the new weights in time")?
    }

    async fn all_synced(&self, before: &[Option<String>]) -> anyhow::Result<()> {
        loop {
            let status: ControlStatus = ask::get(&self.place.admin_socket(), "/status").await?;
            if versions(&status) != before && status.proxies.iter().all(|proxy| proxy.synced) {
                return Ok(());
            }
            sleep(GLANCE).await;
        }
    }

    async fn versions(&self) -> anyhow::Result<Vec<Option<String>>> {
        let status: ControlStatus = ask::get(&self.place.admin_socket(), "/status").await?;
        Ok(versions(&status))
    }

    async fn kill(&self, replica: &Replica) -> anyhow::Result<()> {
        let path = format!("/processes/{}/{}/kill", replica.namespace, replica.instance);
        ask::post::<Value>(&self.place.supervisor_socket(), &path, Bytes::new())
            .await
            .map(drop)
    }

    async fn explain(&mut self, call: &Call) -> anyhow::Result<()> {
        let question = Question {
            from: format!("{}/{}", call.namespace, call.from),
            method: call.method.to_owned(),
            url: call.url.to_owned(),
            ..Question::default()
        };
        let path = format!("/explain?{}", question.to_query());
        let explanation: Explanation = ask::get(&self.place.admin_socket(), &path).await?;
        self.show.explanation(&explanation)
    }
}

/// The versions of all routes that proxies hold: they change with the weights.
fn versions(status: &ControlStatus) -> Vec<Option<String>> {
    let resources = status.proxies.iter().flat_map(|proxy| &proxy.resources);
    resources
        .filter(|resource| resource.kind == "Destination")
        .map(|resource| resource.version.clone())
        .collect()
}
