//! Active health checks: each worker asks the endpoints of a backend now and then whether they are well.
//!
//! By worker, since what is found decides that worker's picks and is asked over its connections. An endpoint counts as well
//! until it has failed as often as the policy says, so that nothing waits for a first answer.

use std::rc::{Rc, Weak};

use futures_util::StreamExt as _;
use futures_util::stream;
use hashbrown::HashMap;
use tokio::task::AbortHandle;
use wattle_balance::{EndpointId, Member};
use wattle_model::traffic::HealthCheck;

use super::{Cluster, Upstream, Worker};
use crate::phases::probe;

/// Endpoints of a backend that are asked at once.
const AT_ONCE: usize = 16;

/// The checks of one backend; they end with it.
pub(super) struct Checks(AbortHandle);

impl Checks {
    /// Asks from now on.
    pub(super) fn start(cluster: Weak<Cluster>, worker: &Worker, check: HealthCheck) -> Self {
        let worker = worker.weak();
        Self(tokio::task::spawn_local(run(cluster, worker, check)).abort_handle())
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(cluster: Weak<Cluster>, worker: Weak<Worker>, check: HealthCheck) {
    let mut streaks: HashMap<EndpointId, Streak> = HashMap::new();
    loop {
        let (Some(members), Some(worker)) = (cluster.upgrade().map(|c| c.members()), worker.upgrade()) else {
            return;
        };
        streaks.retain(|id, _| members.iter().any(|member| member.id() == *id));
        let answers = stream::iter(&members)
            .map(|member| ask(&worker, member, &check))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        for (member, well) in answers.await {
            let streak = streaks.entry(member.id()).or_default();
            if let Some(fit) = streak.heard(well, &check)
                && fit != member.is_fit()
            {
                tracing::info!(endpoint = %member.address(), fit, "health check");
                member.judge(fit);
            }
        }
        drop((members, worker));
        tokio::time::sleep(check.interval).await;
    }
}

async fn ask<'a>(
    worker: &Worker,
    member: &'a Rc<Member<Upstream>>,
    check: &HealthCheck,
) -> (&'a Rc<Member<Upstream>>, bool) {
    let asked = probe::is_well(worker, member.payload(), &check.probe);
    let well = tokio::time::timeout(check.timeout, asked).await.unwrap_or(false);
    (member, well)
}

/// Answers in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// One more answer; the verdict once there are enough of a kind in a row.
    fn heard(&mut self, well: bool, check: &HealthCheck) -> Option<bool> {
        *self = match well {
            true => Self {
                good: self.good.saturating_add(1),
                bad: 0,
            },
            false => Self {
                good: 0,
                bad: self.bad.saturating_add(1),
            },
        };
        match well {
            true => (self.good >= check.healthy_after).then_some(true),
            false => (self.bad >= check.unhealthy_after).then_some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use wattle_model::traffic::HealthProbe;

    #[test]
    fn it_takes_so_many_answers_of_a_kind_in_a_row() {
        let check = HealthCheck {
            probe: HealthProbe::Tcp,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        let mut streak = Streak::default();
        let answers = [false, false, true, false, false, false, true, true];
        let verdicts = answers.map(|well| streak.heard(well, &check));
        let wanted = [None, None, None, None, None, Some(false), None, Some(true)];
        assert_eq!(verdicts, wanted);
    }
}
