//! What the tests of this crate share: manifests in one line, and events in the words of a test.

#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use wattle_source::{Batch, Event};

pub fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    )
}

/// A Service whose port is wrong but whose name can be read.
pub fn bad_service(name: &str) -> String {
    service(name, 80).replace("port: 80", "port: http")
}

/// Events as `apply a:80`, `delete a`, `unreadable a`, `rewritten a`, `said f.yaml: code, code`.
pub fn told(batch: &Batch) -> Vec<String> {
    batch.iter().map(tell).collect()
}

fn tell(event: &Event) -> String {
    match event {
        Event::Reset(snapshot) => {
            let names: Vec<_> = snapshot
                .objects
                .iter()
                .map(|object| tell_object(object))
                .collect();
            let bad: Vec<_> = snapshot
                .unreadable
                .iter()
                .map(|bad| format!("!{}", bad.key.name))
                .collect();
            format!("reset {}", [names, bad].concat().join(" "))
                .trim_end()
                .to_owned()
        }
        Event::Apply(object) => format!("apply {}", tell_object(object)),
        Event::Rewritten(object) => format!("rewritten {}", object.meta().name),
        Event::Unreadable(bad) => format!("unreadable {}", bad.key.name),
        Event::Delete(key) => format!("delete {}", key.name),
        Event::Diagnosed { file, diagnostics } => {
            let codes: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
            let file = file.rsplit('/').next().unwrap();
            format!("said {file}: {}", codes.join(", ")).trim_end().to_owned()
        }
    }
}

pub fn tell_object(object: &wattle_api::Object) -> String {
    match object {
        wattle_api::Object::Service(service) => {
            format!("{}:{}", service.meta.name, service.spec.ports[0].port)
        }
        other => other.meta().name.to_string(),
    }
}
