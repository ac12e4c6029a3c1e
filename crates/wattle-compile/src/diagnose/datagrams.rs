//! Whether the annotation about datagrams has an effect where it was written.

use wattle_api::{Datagrams, Object};

use super::Findings;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    if Datagrams::of(object.meta()).is_none() {
        return;
    }
    let why = match object {
        Object::Namespace(_) => return,
        Object::Process(process) if process.has_proxy() => return,
        Object::Process(_) => "is for processes with a proxy",
        _ => "is not applied to this kind",
    };
    findings.no_effect(
        "metadata.annotations",
        &format!("{} {why}", Datagrams::ANNOTATION),
    );
}

#[cfg(test)]
mod tests {
    use crate::{Mesh, Settings};

    #[test]
    fn the_annotation_is_told_of_where_it_has_no_effect() {
        let told = |object: &str| {
            let text = object.replace(
                "ANNOTATED",
                "metadata: {name: a, annotations: {wattle.io/udp: deny}}",
            );
            let mut mesh = Mesh::new(Settings::default());
            mesh.reset(wattle_api::parse(&text, "in.yaml").objects);
            let found = mesh.diagnostics();
            found.iter().any(|one| one.reason.contains("wattle.io/udp"))
        };
        assert!(!told("apiVersion: v1\nkind: Namespace\nANNOTATED\n"));
        let process = "apiVersion: wattle.io/v1alpha1\nkind: Process\nANNOTATED\nspec: {command: [a]";
        assert!(!told(&format!("{process}}}\n")));
        assert!(told(&format!("{process}, proxy: {{enabled: false}}}}\n")));
        assert!(told(
            "apiVersion: v1\nkind: Service\nANNOTATED\nspec: {ports: [{port: 80}]}\n"
        ));
    }
}
