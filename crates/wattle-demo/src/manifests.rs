//! The demo's mesh directory: the YAML of the shop, as it is written out for `wattle up`.

use std::io;
use std::path::{Path, PathBuf};

/// Stands in the manifests for the program that runs the samples.
const PROGRAM: &str = "\"@WATTLE@\"";
/// The file of the canary's route.
const ROUTE_FILE: &str = "reviews-route.yaml";
const ROUTE: &str = include_str!("../manifests/reviews-route.yaml");

/// The files that are the same for every weight.
const FILES: [(&str, &str); 11] = [
    ("namespace.yaml", include_str!("../manifests/namespace.yaml")),
    ("web.yaml", include_str!("../manifests/web.yaml")),
    ("catalog.yaml", include_str!("../manifests/catalog.yaml")),
    ("cart.yaml", include_str!("../manifests/cart.yaml")),
    ("reviews.yaml", include_str!("../manifests/reviews.yaml")),
    ("ratings.yaml", include_str!("../manifests/ratings.yaml")),
    ("ledger.yaml", include_str!("../manifests/ledger.yaml")),
    ("greeter.yaml", include_str!("../manifests/greeter.yaml")),
    ("load.yaml", include_str!("../manifests/load.yaml")),
    ("intruder.yaml", include_str!("../manifests/intruder.yaml")),
    ("policies.yaml", include_str!("../manifests/policies.yaml")),
];

/// The namespace of the shop.
pub const NAMESPACE: &str = "shop";

/// How requests for reviews are split; weights of the HTTPRoute, 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// For version v1.
    pub v1: u32,
    /// For version v2, the canary.
    pub v2: u32,
}

impl Weights {
    /// What the demo begins with: 90 to 10.
    pub const CANARY: Weights = Weights { v1: 90, v2: 10 };

    /// The share of requests that v2 should get, 0 to 1; 0 where nobody gets any.
    pub fn share_of_v2(self) -> f64 {
        let all = f64::from(self.v1) + f64::from(self.v2);
        if all > 0.0 { f64::from(self.v2) / all } else { 0.0 }
    }
}

/// A file of the mesh directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name, without a directory.
    pub file: &'static str,
    /// Its YAML.
    pub text: String,
}

/// Why a manifest was not written.
#[derive(Debug, thiserror::Error)]
#[error("writing {}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

impl Manifest {
    /// Writes the file whole or not at all, so that whoever watches the directory never reads half of it.
    pub fn write_to(&self, dir: &Path) -> Result<(), WriteError> {
        let path = dir.join(self.file);
        let beside = dir.join(format!(".{}.new", self.file));
        let written = std::fs::write(&beside, &self.text).and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|source| WriteError { path, source })
    }
}

/// All files of the shop, with the canary at 90 to 10. `program` is the `wattle` that runs the samples.
pub fn manifests(program: &Path) -> Vec<Manifest> {
    let program = quoted(program);
    let fixed = FILES.map(|(file, text)| Manifest {
        file,
        text: text.replace(PROGRAM, &program),
    });
    fixed
        .into_iter()
        .chain([reviews_route(Weights::CANARY)])
        .collect()
}

/// The canary's route with other weights; writing it into the directory of a running demo shifts the traffic.
pub fn reviews_route(weights: Weights) -> Manifest {
    let text = ROUTE
        .replace("@V1@", &weights.v1.to_string())
        .replace("@V2@", &weights.v2.to_string());
    Manifest {
        file: ROUTE_FILE,
        text,
    }
}

/// Writes all files into a directory, which is made if it is not there.
pub fn write_to(dir: &Path, program: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    manifests(program)
        .iter()
        .try_for_each(|manifest| manifest.write_to(dir))
}

/// A path as YAML reads it, whatever is in it: JSON's strings are YAML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_stands_wherever_a_sample_is_started() {
        let all = manifests(Path::new("/opt/my \"own\"/wattle"));
        let text: String = all.iter().map(|manifest| manifest.text.as_str()).collect();
        assert!(!text.contains('@'), "a placeholder is left");
        assert_eq!(
            text.matches(r#"["/opt/my \"own\"/wattle", "sample", "#).count(),
            10
        );
    }

    #[test]
    fn the_route_has_the_weights_it_was_asked_for() {
        let text = reviews_route(Weights { v1: 3, v2: 7 }).text;
        let (first, second) = (text.find("weight: 3\n"), text.find("weight: 7\n"));
        assert!(first.is_some() && first < second, "{text}");
        assert_eq!(Weights { v1: 3, v2: 7 }.share_of_v2(), 0.7);
        assert_eq!(Weights { v1: 0, v2: 0 }.share_of_v2(), 0.0);
    }
}
