//! The cases as they are written in `tests/authorization/*.yaml`.
//!
//! A set has policies, of which a `spec` is written without more (besides `name`, `namespace` and `annotations`), and
//! requests, one a line: `WHO METHOD TARGET [NAME=VALUE ...] => VERDICT`, `WHO TCP => VERDICT` or, for TLS that is carried
//! as it is, `WHO TLS SERVER-NAME => VERDICT`. The verdict is what Istio's documentation says. Where this mesh differs on purpose there follows `; WHICH VERDICT because PLACE`: which of
//! the two proxies (`envoy`, or `both`), and the document that says so.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};

const FILES: [(&str, &str); 7] = [
    ("sources", include_str!("../../authorization/sources.yaml")),
    ("operations", include_str!("../../authorization/operations.yaml")),
    ("paths", include_str!("../../authorization/paths.yaml")),
    ("conditions", include_str!("../../authorization/conditions.yaml")),
    ("policies", include_str!("../../authorization/policies.yaml")),
    ("tokens", include_str!("../../authorization/tokens.yaml")),
    ("tcp", include_str!("../../authorization/tcp.yaml")),
];

/// Policies, and what becomes of requests under them.
pub(crate) struct Set {
    pub(crate) name: String,
    policies: Vec<Policy>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Written {
    set: String,
    policies: Vec<Policy>,
    requests: Vec<String>,
}

#[derive(Deserialize)]
struct Policy {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    spec: serde_json::Map<String, Value>,
}

/// What becomes of a request or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// A DENY policy matches.
    Denied,
    /// No ALLOW policy does, and there is one.
    NotAllowed,
}

/// One request or connection.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// As it is written.
    pub(crate) line: String,
    pub(crate) who: String,
    pub(crate) does: Deed,
    /// What our proxy has to decide.
    pub(crate) ours: Verdict,
    /// What Envoy has to decide.
    pub(crate) envoy: Verdict,
}

#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Request(Asked),
    /// An opaque connection.
    Tcp,
    /// A ClientHello with this server name.
    Tls(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// Where everybody is; `$NAME` in a policy stands for an address.
pub(crate) type Addresses = BTreeMap<&'static str, IpAddr>;

/// All sets of all files.
pub(crate) fn all() -> Vec<Set> {
    let read = |(file, text): (&str, &str)| {
        let sets: Vec<Written> =
            serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        sets.into_iter()
            .map(move |written| Set::read(file, written))
            .collect::<Vec<_>>()
    };
    FILES.into_iter().flat_map(read).collect()
}

impl Set {
    fn read(file: &str, written: Written) -> Self {
        Self {
            name: format!("{file}: {}", written.set),
            policies: written.policies,
            cases: written.requests.iter().map(|line| Case::read(line)).collect(),
        }
    }

    /// The policies as a file of manifests, each with the annotation `generation`.
    pub(crate) fn manifest(&self, addresses: &Addresses, generation: usize) -> String {
        let policies = self.policies.iter().enumerate();
        let objects = policies.map(|(index, policy)| policy.object(index, generation).to_string());
        let text = objects.collect::<Vec<_>>().join("\n---\n");
        addresses.iter().fold(text, |text, (name, address)| {
            text.replace(&format!("${name}"), &address.to_string())
        })
    }
}

impl Policy {
    fn object(&self, index: usize, generation: usize) -> Value {
        let mut annotations = self.annotations.clone();
        annotations.insert("generation".to_owned(), generation.to_string());
        let name = self.name.clone().unwrap_or_else(|| format!("policy-{index}"));
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {
                "name": name,
                "namespace": self.namespace.as_deref().unwrap_or("default"),
                "annotations": annotations,
            },
            "spec": self.spec,
        })
    }
}

impl Case {
    fn read(line: &str) -> Self {
        let (asked, verdicts) = line
            .split_once(" => ")
            .unwrap_or_else(|| panic!("no verdict: {line}"));
        let (istio, differing) = match verdicts.split_once("; ") {
            Some((istio, differing)) => (Verdict::read(istio), Some(differing)),
            None => (Verdict::read(verdicts), None),
        };
        let mut case = Self {
            line: line.to_owned(),
            ours: istio,
            envoy: istio,
            ..Self::asking(asked)
        };
        if let Some(differing) = differing {
            let (said, _place) = differing
                .split_once(" because docs/")
                .unwrap_or_else(|| panic!("no reason: {line}"));
            let (which, verdict) = said.split_once(' ').unwrap();
            case.envoy = Verdict::read(verdict);
            assert_ne!(case.envoy, istio, "no difference: {line}");
            match which {
                "both" => case.ours = case.envoy,
                "envoy" => {}
                other => panic!("{other} is none of both and envoy: {line}"),
            }
        }
        case
    }

    fn asking(text: &str) -> Self {
        let mut words = text.split(' ').map(str::to_owned);
        let (who, method) = (words.next().unwrap(), words.next().unwrap());
        let does = match &*method {
            "TCP" => Deed::Tcp,
            "TLS" => Deed::Tls(words.next().unwrap()),
            _ => Deed::Request(Asked::read(method, words, text)),
        };
        Self {
            line: String::new(),
            who,
            does,
            ours: Verdict::Allowed,
            envoy: Verdict::Allowed,
        }
    }
}

impl Asked {
    fn read(method: String, mut words: impl Iterator<Item = String>, text: &str) -> Self {
        let target = words.next().unwrap();
        let pairs = words.map(|word| {
            let (name, value) = word
                .split_once('=')
                .unwrap_or_else(|| panic!("no header: {text}"));
            (name.to_owned(), value.to_owned())
        });
        let (hosts, headers): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name == "host");
        let host = hosts
            .into_iter()
            .next()
            .map_or("shop".to_owned(), |(_, host)| host);
        Self {
            method,
            target,
            host,
            headers,
        }
    }
}

impl Verdict {
    fn read(word: &str) -> Self {
        match word {
            "allowed" => Self::Allowed,
            "denied" => Self::Denied,
            "not-allowed" => Self::NotAllowed,
            other => panic!("{other} is no verdict"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::NotAllowed => "not-allowed",
        })
    }
}
