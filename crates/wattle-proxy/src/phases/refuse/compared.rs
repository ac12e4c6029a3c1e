//! What policies compare, found once for each state of the policies: a workload may have a thousand.

use std::collections::BTreeSet;

use wattle_model::{Attribute, Authorization, Inbound, PolicyRule};

/// What policies compare of headers and claims.
#[derive(Default)]
pub(crate) struct Compared {
    pub(super) headers: BTreeSet<String>,
    pub(super) claims: Vec<Attribute>,
}

impl Compared {
    pub(crate) fn by(inbound: &Inbound) -> Self {
        let mut compared = Self::default();
        compared.add(&inbound.authorization);
        compared
    }

    fn add(&mut self, authorization: &Authorization) {
        let policies = authorization.policies();
        policies
            .flat_map(|policy| &policy.rules)
            .for_each(|rule| self.add_rule(rule));
        let routes = authorization.gates.iter().flat_map(|gate| &gate.routes);
        for header in routes.flat_map(|route| &route.matches.headers) {
            self.headers.insert(header.name.as_str().to_owned());
        }
    }

    fn add_rule(&mut self, rule: &PolicyRule) {
        for condition in &rule.when {
            match &condition.attribute {
                Attribute::RequestHeader(name) => _ = self.headers.insert(name.as_str().to_owned()),
                claim @ Attribute::RequestClaim(_) if !self.claims.contains(claim) => {
                    self.claims.push(claim.clone());
                }
                _ => {}
            }
        }
    }
}
