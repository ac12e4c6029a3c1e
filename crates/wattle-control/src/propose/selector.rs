//! Labels that name one workload.

use std::collections::BTreeSet;

use wattle_api::Labels;
use wattle_compile::Mesh;

/// The fewest of the usual labels that select this workload and no other; else all, with the others that they select.
///
/// # Errors
/// Without labels, which would select the whole namespace.
pub(super) fn labels(
    mesh: &Mesh,
    (namespace, name): (&str, &str),
    all: &Labels,
) -> Result<(Labels, Vec<String>), String> {
    if all.is_empty() {
        return Err("it has no labels that a selector could name".to_owned());
    }
    let only = |names: &[&str]| -> Labels {
        let named = all.iter().filter(|(label, _)| names.contains(&label.as_str()));
        named
            .map(|(label, value)| (label.clone(), value.clone()))
            .collect()
    };
    for labels in [only(&["app"]), only(&["app", "version"]), all.clone()] {
        if !labels.is_empty() && others(mesh, (namespace, name), &labels).is_empty() {
            return Ok((labels, Vec::new()));
        }
    }
    let others = others(mesh, (namespace, name), all);
    Ok((all.clone(), others.into_iter().collect()))
}

fn others(mesh: &Mesh, (namespace, name): (&str, &str), labels: &Labels) -> BTreeSet<String> {
    let selected = mesh.workloads().filter(|instance| {
        *instance.workload.namespace == *namespace
            && labels
                .iter()
                .all(|(label, value)| instance.labels.get(label) == Some(value))
    });
    selected
        .filter(|instance| *instance.workload.name != *name)
        .map(|instance| format!("{namespace}/{}", instance.workload.name))
        .collect()
}
