//! What gRPC's servers refuse to be told. They would keep the policies before, so none of it may reach them.

use wattle_model::{Attribute, Condition, Gate, PolicyRule, Source};

use super::{Policies, denying};

impl Policies<'_> {
    /// Does a policy compare what gRPC cannot: what a token says, or its own headers (gRFC A41)?
    pub(crate) fn are_beyond_grpc(&self) -> bool {
        let authorizing = self.of_port.into_iter().flat_map(Gate::policies);
        let all = denying(self.authorization)
            .chain(authorizing)
            .chain(&self.authorization.allow);
        all.flat_map(|policy| &policy.rules).any(is_beyond)
    }
}

fn is_beyond(rule: &PolicyRule) -> bool {
    rule.from.iter().any(asks_for_token) || rule.when.iter().any(asks_for_more)
}

fn asks_for_token(source: &Source) -> bool {
    !source.request_principals.is_empty() || !source.not_request_principals.is_empty()
}

fn asks_for_more(when: &Condition) -> bool {
    match &when.attribute {
        Attribute::RequestPrincipal
        | Attribute::RequestAudiences
        | Attribute::RequestPresenter
        | Attribute::RequestClaim(_) => true,
        Attribute::RequestHeader(name) => name.as_str().starts_with("grpc-"),
        _ => false,
    }
}
