//! The requests that the rules for one destination can tell apart.
//!
//! Each rule names paths, methods, headers and parameters. One value that satisfies each name, and one that satisfies
//! none, stand for all others: no rule can tell two requests apart that agree in these. Only expressions have more cases
//! than that; where one is met, it is said.

use std::collections::BTreeSet;

use wattle_compile::Mesh;
use wattle_model::{
    Attribute, Authorization, Condition, HostMatch, Operation, PathMatch, RequestMatch, TextMatch,
};

use crate::explain::Question;

/// Values of each part of a request.
#[derive(Default)]
pub(super) struct Space {
    methods: BTreeSet<String>,
    paths: BTreeSet<String>,
    hosts: BTreeSet<String>,
    /// Sets of headers and queries that rules ask for together.
    heads: BTreeSet<Head>,
    pub(super) uncovered: Vec<String>,
}

/// Headers and query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    headers: Vec<(String, String)>,
    query: String,
}

/// A method that no rule names.
const OTHER_METHOD: &str = "PATCH";
/// A path that no rule names.
const OTHER_PATH: &str = "/any/other/path";

/// The space of `destination` over all of the meshes and callers.
pub(super) fn space(meshes: &mut [&mut Mesh], destination: &str) -> Space {
    let mut space = Space::default();
    space.methods.extend(["GET".to_owned(), OTHER_METHOD.to_owned()]);
    space.paths.extend(["/".to_owned(), OTHER_PATH.to_owned()]);
    space.heads.insert(Head::default());
    for mesh in meshes {
        space.of_mesh(mesh, destination);
    }
    space
}

impl Space {
    pub(super) fn len(&self) -> usize {
        self.methods.len() * self.paths.len() * self.heads.len() * (self.hosts.len() + 1)
    }

    pub(super) fn questions(&self, destination: String, caller: String) -> impl Iterator<Item = Question> {
        let own = std::iter::once(None);
        let hosts = own.chain(self.hosts.iter().map(Some));
        hosts.flat_map(move |host| {
            let (destination, caller) = (destination.clone(), caller.clone());
            self.paths.iter().flat_map(move |path| {
                let (destination, caller) = (destination.clone(), caller.clone());
                self.methods.iter().flat_map(move |method| {
                    let (destination, caller) = (destination.clone(), caller.clone());
                    self.heads
                        .iter()
                        .map(move |head| question(&destination, &caller, (method, path, host), head))
                })
            })
        })
    }

    fn of_mesh(&mut self, mesh: &mut Mesh, destination: &str) {
        let namespaces: BTreeSet<_> = mesh
            .workloads()
            .map(|instance| instance.workload.namespace.clone())
            .collect();
        for namespace in namespaces {
            let Some(found) = mesh.destination(destination, &namespace) else {
                continue;
            };
            found
                .routes
                .rules()
                .iter()
                .for_each(|rule| self.of_match(&rule.matches));
            for id in found.backend_ids() {
                let behind: BTreeSet<_> = mesh
                    .workloads_of(id)
                    .iter()
                    .map(|(instance, _)| format!("{}/{}", instance.key.namespace, instance.key.name))
                    .collect();
                for workload in behind {
                    if let Some(inbound) = mesh.inbound(&workload) {
                        self.of_policies(&inbound.authorization);
                    }
                }
            }
        }
    }

    fn of_match(&mut self, matched: &RequestMatch) {
        self.paths.extend(matched.path.iter().flat_map(paths));
        if let Some(PathMatch::Regex(pattern)) = &matched.path {
            self.leave_out("paths", pattern.as_str());
        }
        self.methods.extend(matched.method.iter().flat_map(texts));
        let host = |host: &HostMatch| match host {
            HostMatch::Exact(host) => Some(host.to_string()),
            HostMatch::Suffix(suffix) => Some(format!("any{suffix}")),
            HostMatch::Any => None,
        };
        self.hosts.extend(matched.hosts.iter().filter_map(host));
        let mut head = Head::default();
        for header in &matched.headers {
            self.note_expression("header", &header.value);
            let value = texts(&header.value)
                .into_iter()
                .next()
                .unwrap_or_else(|| "x".to_owned());
            head.headers.push((header.name.to_string(), value));
        }
        for query in &matched.query {
            self.note_expression("query parameter", &query.value);
            let value = texts(&query.value)
                .into_iter()
                .next()
                .unwrap_or_else(|| "x".to_owned());
            let and = if head.query.is_empty() { "" } else { "&" };
            head.query.push_str(&format!("{and}{}={value}", query.name));
        }
        self.heads.insert(head);
    }

    fn of_policies(&mut self, authorization: &Authorization) {
        let routes = authorization.gates.iter().flat_map(|gate| &gate.routes);
        routes.for_each(|route| self.of_match(&route.matches));
        for rule in authorization.policies().flat_map(|policy| &policy.rules) {
            rule.to.iter().for_each(|operation| self.of_operation(operation));
            rule.when
                .iter()
                .for_each(|condition| self.of_condition(condition));
        }
    }

    fn of_operation(&mut self, operation: &Operation) {
        let paths = operation.paths.iter().chain(&operation.not_paths);
        self.paths
            .extend(paths.flat_map(texts).filter(|path| path.starts_with('/')));
        let methods = operation.methods.iter().chain(&operation.not_methods);
        self.methods.extend(methods.flat_map(texts));
        let hosts = operation.hosts.iter().chain(&operation.not_hosts);
        self.hosts.extend(hosts.flat_map(texts));
    }

    fn of_condition(&mut self, condition: &Condition) {
        let Attribute::RequestHeader(name) = &condition.attribute else {
            return;
        };
        for value in condition
            .values
            .iter()
            .chain(&condition.not_values)
            .flat_map(texts)
        {
            self.heads.insert(Head {
                headers: vec![(name.to_string(), value)],
                query: String::new(),
            });
        }
    }

    fn note_expression(&mut self, what: &str, value: &TextMatch) {
        if let TextMatch::Regex(pattern) = value {
            self.leave_out(what, pattern.as_str());
        }
    }

    fn leave_out(&mut self, what: &str, pattern: &str) {
        let said = format!("{what} that match the expression {pattern}");
        if !self.uncovered.contains(&said) {
            self.uncovered.push(said);
        }
    }
}

/// Texts that satisfy a comparison.
fn texts(wanted: &TextMatch) -> Vec<String> {
    match wanted {
        TextMatch::Exact(text) => vec![text.to_string()],
        TextMatch::Prefix(text) => vec![format!("{text}x")],
        TextMatch::Suffix(text) => vec![format!("x{text}")],
        TextMatch::Present => vec!["x".to_owned()],
        TextMatch::Regex(_) => Vec::new(),
    }
}

/// Paths at the edges of a comparison.
fn paths(wanted: &PathMatch) -> Vec<String> {
    let prefix = |prefix: &str, below: &str| vec![prefix.to_owned(), format!("{prefix}{below}")];
    match wanted {
        PathMatch::Exact(path) | PathMatch::ExactAnyCase(path) => {
            vec![path.to_string(), format!("{}/", path.trim_end_matches('/'))]
        }
        PathMatch::Prefix(path) => prefix(path.strip_suffix('/').unwrap_or(path), "/x")
            .into_iter()
            .chain([format!("{path}x")])
            .filter(|path| !path.is_empty())
            .collect(),
        PathMatch::StartsWith(path) | PathMatch::StartsWithAnyCase(path) => prefix(path, "x"),
        PathMatch::Regex(_) => Vec::new(),
    }
}

fn question(
    destination: &str,
    caller: &str,
    (method, path, host): (&str, &str, Option<&String>),
    head: &Head,
) -> Question {
    let query = if head.query.is_empty() {
        String::new()
    } else {
        format!("?{}", head.query)
    };
    let mut headers = head.headers.clone();
    headers.extend(host.map(|host| ("host".to_owned(), host.clone())));
    Question {
        from: caller.to_owned(),
        method: method.to_owned(),
        url: format!("http://{destination}{path}{query}"),
        headers,
        port: None,
        claims: None,
    }
}

/// A question as a request line.
pub(super) fn said(question: &Question) -> String {
    let url = question.url.strip_prefix("http://").unwrap_or(&question.url);
    let path = url.find('/').map_or("/", |at| &url[at..]);
    let headers: Vec<_> = question
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    match headers.is_empty() {
        true => format!("{} {path}", question.method),
        false => format!("{} {path} with {}", question.method, headers.join(", ")),
    }
}
