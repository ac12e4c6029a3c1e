//! The problems of one object, gathered while it is decoded.

use std::cell::{Cell, RefCell};

use crate::diagnostic::Finding;
use crate::known::Record;

/// Most problems kept for one object; a reader mends the first ones first.
const MAX_FINDINGS: usize = 16;

/// The problems of one object.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
    failed: Cell<bool>,
    record: Option<Record>,
}

impl Report {
    /// A report that also records which fields the decoders know.
    pub(crate) fn recording() -> Self {
        Self {
            record: Some(Record::default()),
            ..Self::default()
        }
    }

    /// Where known fields are recorded, if they are.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The fields recorded so far.
    pub(crate) fn into_record(self) -> Record {
        self.record.unwrap_or_default()
    }

    /// The errors noted so far in the order of the file, what is missing last: a misspelt field is both
    /// unknown and missing, and the misspelling is the news.
    pub(crate) fn errors(&self) -> Vec<Finding> {
        let mut errors = self.errors.take();
        errors.sort_by_key(|finding| (finding.code == "missing-field", finding.at));
        errors
    }

    /// The warnings noted so far.
    pub(crate) fn warnings(&self) -> Vec<Finding> {
        self.warnings.take()
    }

    /// Whether an error was noted.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Whether further errors would not be kept.
    pub(crate) fn full(&self) -> bool {
        self.errors.borrow().len() >= MAX_FINDINGS
    }

    /// Notes an error.
    pub(crate) fn error(&self, finding: Finding) {
        self.failed.set(true);
        Self::note(&self.errors, finding);
    }

    /// Notes a warning.
    pub(crate) fn warning(&self, finding: Finding) {
        Self::note(&self.warnings, finding);
    }

    fn note(list: &RefCell<Vec<Finding>>, finding: Finding) {
        let mut list = list.borrow_mut();
        if list.len() < MAX_FINDINGS && !list.contains(&finding) {
            list.push(finding);
        }
    }
}
