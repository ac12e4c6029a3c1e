//! HTTP routes of a destination, as Envoy's virtual hosts: one for each host that a rule names, with the rules that cover
//! it in their order.

pub(crate) mod features;
mod filters;
mod forward;
mod hash;
mod matches;
mod raw;
mod redirect;
pub(crate) mod retry;
mod rewrite;

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_model::{Action, CallerLabel, Destination, HostMatch, Reason, RouteRule};

pub(crate) use features::{CORS, FAULT, SESSION};
pub(crate) use hash::hashed_by_header;
pub(crate) use matches::{header, route_match};
pub(crate) use raw::Made;
pub(crate) use raw::{Host, configuration};

use crate::cluster::{Clusters, Wire};
use crate::notes::Notes;
use crate::proto::{inline, number};

/// Longest body of an answer that a rule gives by itself.
const MAX_BODY: u32 = 1024 * 1024;

/// A destination as it is spoken to, and what is made on the way.
pub(crate) struct Facing<'w, 'a> {
    pub(crate) destination: &'w Destination,
    pub(crate) wire: Wire,
    pub(crate) labels: &'w [CallerLabel],
    pub(crate) clusters: &'w mut Clusters<'a>,
    pub(crate) notes: &'w mut Notes,
}

impl Facing<'_, '_> {
    /// The serialised routes of the destination, under this name.
    pub(crate) fn routes(&mut self, name: &str) -> Vec<u8> {
        let destination = self.destination;
        let covering: Vec<&RouteRule> = destination
            .routes
            .rules()
            .iter()
            .filter(|rule| {
                rule.matches
                    .caller_labels
                    .iter()
                    .all(|label| self.labels.contains(label))
            })
            .collect();
        let hosts = match destination.routes.is_empty() {
            true => vec![everywhere(vec![self.unruled()])],
            false => self.hosts(&covering),
        };
        configuration(head(name), hosts)
    }

    /// A destination that may not be reached: every request is refused.
    pub(crate) fn refusals(name: &str, reason: Reason) -> Vec<u8> {
        let refused = refusal(xds::RouteMatch::default().any_path(), reason);
        configuration(head(name), vec![everywhere(vec![refused])])
    }

    fn hosts(&mut self, rules: &[&RouteRule]) -> Vec<Host> {
        let mut domains: BTreeMap<String, HostMatch> = BTreeMap::new();
        for rule in rules {
            let any = [HostMatch::Any];
            let named = match rule.matches.hosts.is_empty() {
                true => &any[..],
                false => &rule.matches.hosts[..],
            };
            domains.extend(named.iter().map(|host| (host.to_string(), host.clone())));
        }
        domains
            .into_iter()
            .map(|(domain, host)| {
                let covers = |rule: &&&RouteRule| {
                    let hosts = &rule.matches.hosts;
                    hosts.is_empty() || hosts.iter().any(|wanted| wanted.covers(&host))
                };
                let routes = rules
                    .iter()
                    .filter(covers)
                    .flat_map(|rule| self.rule(rule, &host))
                    .collect();
                Host { domain, routes }
            })
            .collect()
    }

    /// What a destination without rules does.
    fn unruled(&mut self) -> Made {
        self.notes.at(None, &self.destination.name);
        let all = xds::RouteMatch::default().any_path();
        let default = self.destination.default_backend;
        match default.and_then(|index| self.share(index, None)) {
            Some(share) => self.unruled_forward(all, &share),
            None => refusal(all, Reason::NoBackend),
        }
    }

    /// The routes of one rule, for requests to this host.
    fn rule(&mut self, rule: &RouteRule, host: &HostMatch) -> Vec<Made> {
        self.notes.at(Some(&rule.origin.object), &self.destination.name);
        let Some(matched) = route_match(&rule.matches, self.notes) else {
            return Vec::new();
        };
        let mut made = match &*rule.action {
            Action::Forward(backends) => self.forward(rule, backends, matched),
            Action::Redirect(redirect) => {
                let scene = redirect::Scene {
                    dialled: self.destination.port(),
                    host,
                    matched: rule.matches.path.as_ref(),
                };
                let action = redirect::action(redirect, &scene, self.notes);
                vec![self.answered(rule, matched, xds::route::Action::Redirect(action))]
            }
            Action::Respond(response) => {
                let action = xds::DirectResponseAction {
                    status: response.status.into(),
                    body: (!response.body.is_empty()).then(|| crate::proto::bytes(&response.body)),
                    ..Default::default()
                };
                vec![self.answered(rule, matched, xds::route::Action::DirectResponse(action))]
            }
            Action::Refuse(Reason::NoBackend) => vec![forward::unusable(rule, matched)],
            Action::Refuse(reason) => vec![refusal(matched, *reason)],
        };
        for route in &mut made {
            route.route.name = rule.origin.object.name.to_string();
            features::add(route, rule, self.notes);
        }
        made
    }

    /// An answer that the rule gives by itself gets the rule's changes to responses.
    fn answered(&mut self, rule: &RouteRule, matched: xds::RouteMatch, action: xds::route::Action) -> Made {
        let changes = filters::Changes::of(&[&rule.filters.response_headers], self.notes);
        Made::new(xds::Route {
            r#match: Some(matched),
            response_headers_to_add: changes.add,
            response_headers_to_remove: changes.remove,
            action: Some(action),
            ..Default::default()
        })
    }
}

/// Any path, for a match that names none.
pub(crate) trait AnyPath {
    /// The same with any path.
    fn any_path(self) -> Self;
}

impl AnyPath for xds::RouteMatch {
    fn any_path(self) -> Self {
        Self {
            path_specifier: Some(xds::route_match::PathSpecifier::Prefix("/".to_owned())),
            ..self
        }
    }
}

/// A refusal in the terms of HTTP; the sentence is the reason's own.
fn refusal(matched: xds::RouteMatch, reason: Reason) -> Made {
    Made::new(xds::Route {
        r#match: Some(matched),
        action: Some(xds::route::Action::DirectResponse(xds::DirectResponseAction {
            status: reason.status().into(),
            body: Some(inline(&format!("{}\n", reason.sentence()))),
            ..Default::default()
        })),
        ..Default::default()
    })
}

fn everywhere(routes: Vec<Made>) -> Host {
    Host {
        domain: "*".to_owned(),
        routes,
    }
}

fn head(name: &str) -> xds::RouteConfiguration {
    xds::RouteConfiguration {
        name: name.to_owned(),
        ignore_port_in_host_matching: true,
        max_direct_response_body_size_bytes: number(MAX_BODY),
        ..Default::default()
    }
}

/// The name of a destination's routes.
pub(crate) fn name(destination: &Arc<str>, wire: Wire) -> String {
    format!("{destination}|{}", wire.as_str())
}
