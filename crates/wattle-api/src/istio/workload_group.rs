//! Istio WorkloadGroup: what the WorkloadEntries of like workloads have in common.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::meta::Labels;
use crate::scalar;
use crate::workload::{WorkloadEntry, template};

use super::probe::{Probe, probe};

/// `spec` of a WorkloadGroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadGroup {
    /// Metadata of each entry.
    #[serde(skip_serializing_if = "GroupMeta::is_empty")]
    pub metadata: GroupMeta,
    /// What each entry says; its address is its own.
    pub template: WorkloadEntry,
    /// How to tell that a workload is ready; none means that it is as soon as it registers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// Metadata of the entries of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GroupMeta {
    /// Labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Annotations.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
}

impl GroupMeta {
    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

pub(crate) fn workload_group(cursor: &Cursor<'_>) -> Decoded<WorkloadGroup> {
    let fields = cursor.fields(&["metadata", "template", "probe"])?;
    let metadata = fields.optional("metadata", group_meta);
    let template = fields.required("template", template);
    let probe = fields.optional("probe", probe);
    Ok(WorkloadGroup {
        metadata: metadata?.unwrap_or_default(),
        template: template?,
        probe: probe?,
    })
}

fn group_meta(cursor: &Cursor<'_>) -> Decoded<GroupMeta> {
    let fields = cursor.fields(&["labels", "annotations"])?;
    let labels = fields.optional("labels", scalar::labels);
    let annotations = fields.optional("annotations", scalar::texts);
    Ok(GroupMeta {
        labels: labels?.unwrap_or_default(),
        annotations: annotations?.unwrap_or_default(),
    })
}
