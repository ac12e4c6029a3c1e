//! How often each kind of outcome was met: agreement on one kind alone would prove little.

use crate::seen::Outcome;
use crate::traffic::{Family, Step, Way};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) configs: usize,
    pub(crate) refused: usize,
    pub(crate) requests: usize,
    families: std::collections::BTreeMap<Family, usize>,
    served: usize,
    redirected: usize,
    said: usize,
    failed: usize,
    unrouted: usize,
    repeated: usize,
    delayed: usize,
    called: usize,
    calls_refused: usize,
    greeted: usize,
    not_greeted: usize,
    kept: usize,
    spread: usize,
}

impl Tally {
    pub(crate) fn begin(&mut self, family: Family) {
        self.configs += 1;
        *self.families.entry(family).or_default() += 1;
    }

    pub(crate) fn count(&mut self, step: &Step, outcome: &Outcome) {
        self.requests += 1;
        let status = outcome.status;
        let of_grpc = outcome.headers.iter().find(|(name, _)| name == "grpc-status");
        let (http, call) = (matches!(step.way, Way::Http(_)), matches!(step.way, Way::Call(_)));
        let bytes = matches!(step.way, Way::Bytes | Way::Hello(_));
        let many = matches!(step.way, Way::Many(..)) && status == 200;
        let said = outcome.said.as_deref();
        let counts = [
            (
                &mut self.served,
                http && status == 200 && !outcome.asked.is_empty(),
            ),
            (&mut self.redirected, (301..=308).contains(&status)),
            (&mut self.said, http && said.is_some()),
            (&mut self.failed, status >= 500),
            (&mut self.unrouted, status == 404 && outcome.asked.is_empty()),
            (&mut self.repeated, outcome.asked.len() > 1),
            (&mut self.delayed, outcome.delayed),
            (
                &mut self.called,
                call && of_grpc.is_some_and(|(_, code)| code == "0"),
            ),
            (
                &mut self.calls_refused,
                call && of_grpc.is_some_and(|(_, code)| code != "0"),
            ),
            (&mut self.greeted, bytes && said.is_some()),
            (&mut self.not_greeted, bytes && said.is_none()),
            (&mut self.kept, many && said == Some("1 servers")),
            (&mut self.spread, many && said == Some("2 servers")),
        ];
        for (counter, met) in counts {
            *counter += usize::from(met);
        }
    }

    pub(crate) fn assert_varied(&self) {
        let all = [
            self.served,
            self.redirected,
            self.said,
            self.failed,
            self.unrouted,
            self.repeated,
            self.delayed,
            self.called,
            self.calls_refused,
            self.greeted,
            self.not_greeted,
            self.kept,
            self.spread,
        ];
        assert!(all.iter().all(|count| *count >= 2), "{self:?}");
        assert_eq!(self.families.len(), Family::ALL.len(), "{self:?}");
        assert!(self.refused * 10 <= self.configs, "{self:?}");
    }
}
