//! How a decision tells what it tried. The proxy passes [`NoTrace`], which compiles to nothing.

/// Outcome of one thing that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It applied.
    Matched,
    /// It did not apply.
    Skipped,
    /// It ended the decision with a refusal.
    Refused,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was tried, e.g. `HTTPRoute default/reviews (routes.yaml:3) rule 1`.
    pub subject: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, comparing what was wanted with what was found.
    pub detail: String,
}

impl Step {
    /// A step.
    pub fn new(subject: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            verdict,
            detail: detail.into(),
        }
    }
}

/// Receives the steps of a decision.
pub trait Trace {
    /// Called for each thing tried; `step` is only run when somebody listens.
    fn note(&mut self, step: impl FnOnce() -> Step);

    /// False when nobody listens, so that what only serves the trace is left out.
    fn listens(&self) -> bool {
        true
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    #[inline]
    fn note(&mut self, _step: impl FnOnce() -> Step) {}

    #[inline]
    fn listens(&self) -> bool {
        false
    }
}

impl Trace for Vec<Step> {
    fn note(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}
