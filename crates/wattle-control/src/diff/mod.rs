//! What changes for whom between two meshes: both are asked the same questions, and the answers compared.
//!
//! Nothing is decided here. The questions are all that the rules of either mesh can tell apart ([`space`]), asked for
//! every workload and every Service through [`explain`](crate::explain::explain), which asks the model.

mod outcome;
mod space;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use wattle_compile::Mesh;

use crate::explain::{Question, explain};
use outcome::outcome;
use space::{Space, space};

/// Most questions that are asked; what is beyond is left out and said.
pub const MAX_QUESTIONS: usize = 200_000;
/// Requests named for one change.
const EXAMPLES: usize = 3;

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Workloads that only the second has.
    pub workloads_added: Vec<String>,
    /// Workloads that only the first has.
    pub workloads_removed: Vec<String>,
    /// Ports of Services that only the second has.
    pub services_added: Vec<String>,
    /// Ports of Services that only the first has.
    pub services_removed: Vec<String>,
    /// Requests that are answered differently, by destination.
    pub changes: Vec<Change>,
    /// How many questions were asked.
    pub questions: usize,
    /// What the comparison does not cover, and why.
    pub uncovered: Vec<String>,
    /// What was taken for given about the mesh as a whole, one line each.
    pub notes: Vec<String>,
}

/// Requests to one destination that are answered differently in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `host:port`.
    pub destination: String,
    /// What happened before.
    pub before: String,
    /// What happens after.
    pub after: String,
    /// Who sends them, `namespace/workload`.
    pub callers: Vec<String>,
    /// Some of the requests.
    pub requests: Vec<String>,
    /// How many of the questions it is.
    pub count: usize,
}

impl Difference {
    /// True when nothing changes for anybody.
    pub fn is_empty(&self) -> bool {
        let added = self.workloads_added.is_empty() && self.services_added.is_empty();
        let removed = self.workloads_removed.is_empty() && self.services_removed.is_empty();
        added && removed && self.changes.is_empty()
    }
}

/// Compares two meshes; `progress` is told how many of how many questions have been asked.
pub fn diff(before: &mut Mesh, after: &mut Mesh, mut progress: impl FnMut(usize, usize)) -> Difference {
    let (old, new) = (callers(before), callers(after));
    let (old_ports, new_ports) = (ports(before), ports(after));
    let mut found = Difference {
        workloads_added: new.difference(&old).cloned().collect(),
        workloads_removed: old.difference(&new).cloned().collect(),
        services_added: new_ports.difference(&old_ports).cloned().collect(),
        services_removed: old_ports.difference(&new_ports).cloned().collect(),
        ..Difference::default()
    };
    let callers: Vec<_> = old.intersection(&new).collect();
    let mut spaces = Vec::new();
    for destination in old_ports.intersection(&new_ports) {
        let space = space(&mut [&mut *before, &mut *after], destination);
        found.uncovered.extend(
            space
                .uncovered
                .iter()
                .map(|what| format!("{destination}: {what}")),
        );
        spaces.push((destination, space));
    }
    let total: usize = spaces.iter().map(|(_, space)| space.len() * callers.len()).sum();
    if total > MAX_QUESTIONS {
        found.uncovered.push(format!(
            "{} of {total} questions, beyond the bound",
            total - MAX_QUESTIONS
        ));
    }
    let mut changes = Changes::default();
    for (destination, space) in &spaces {
        for caller in &callers {
            for question in questions(space, destination, caller) {
                if found.questions == MAX_QUESTIONS {
                    break;
                }
                found.questions += 1;
                if found.questions.is_multiple_of(1000) {
                    progress(found.questions, total.min(MAX_QUESTIONS));
                }
                changes.compare(destination, &question, before, after);
            }
        }
    }
    found.changes = changes.into_list();
    found
}

/// Differences found so far, by destination, and what happened before and after.
#[derive(Default)]
struct Changes(BTreeMap<(String, String, String), Asked>);

/// The questions that one difference showed in.
#[derive(Default)]
struct Asked {
    callers: BTreeSet<String>,
    requests: Vec<String>,
    count: usize,
}

impl Changes {
    fn compare(&mut self, destination: &str, question: &Question, before: &mut Mesh, after: &mut Mesh) {
        let answer = |mesh: &mut Mesh| match explain(mesh, question) {
            Ok(explanation) => outcome(&explanation),
            Err(error) => error.to_string(),
        };
        let (was, is) = (answer(before), answer(after));
        if was == is {
            return;
        }
        let asked = self.0.entry((destination.to_owned(), was, is)).or_default();
        asked.callers.insert(question.from.clone());
        asked.count += 1;
        let request = space::said(question);
        if asked.requests.len() < EXAMPLES && !asked.requests.contains(&request) {
            asked.requests.push(request);
        }
    }

    fn into_list(self) -> Vec<Change> {
        let change = |((destination, before, after), asked): ((String, String, String), Asked)| Change {
            destination,
            before,
            after,
            callers: asked.callers.into_iter().collect(),
            requests: asked.requests,
            count: asked.count,
        };
        self.0.into_iter().map(change).collect()
    }
}

/// Workloads by the name that stands for all their copies.
fn callers(mesh: &Mesh) -> BTreeSet<String> {
    let workloads = mesh.workloads();
    workloads
        .map(|instance| format!("{}/{}", instance.workload.namespace, instance.workload.name))
        .collect()
}

/// `host:port` of every port of every Service.
fn ports(mesh: &Mesh) -> BTreeSet<String> {
    mesh.ports()
        .into_iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect()
}

fn questions(space: &Space, destination: &str, caller: &str) -> impl Iterator<Item = Question> {
    space.questions(destination.to_owned(), caller.to_owned())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("+ workload", &self.workloads_added),
            ("- workload", &self.workloads_removed),
            ("+ service", &self.services_added),
            ("- service", &self.services_removed),
        ];
        for (sign, list) in lists {
            list.iter().try_for_each(|name| writeln!(f, "{sign} {name}"))?;
        }
        for change in &self.changes {
            write!(f, "{change}")?;
        }
        if self.is_empty() {
            writeln!(f, "no request is answered differently")?;
        }
        for what in &self.uncovered {
            writeln!(f, "not compared: {what}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        writeln!(f, "{} questions asked of both", self.questions)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "~ {} from {}", self.destination, self.callers.join(", "))?;
        let more = self
            .count
            .saturating_sub(self.requests.len() * self.callers.len());
        for request in &self.requests {
            writeln!(f, "    {request}")?;
        }
        if more > 0 {
            writeln!(f, "    and {more} more")?;
        }
        writeln!(f, "  before  {}", self.before)?;
        writeln!(f, "  after   {}", self.after)
    }
}
