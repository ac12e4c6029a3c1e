//! What gRPC's servers refuse to be told, or compare with something else than is meant (gRFC A41). They would keep the
//! policies before, or let in whom a policy keeps out, so none of it may reach them.

use wattle_model::{Attribute, Condition, Gate, GateRoute, PolicyRule, Source};

use super::{Policies, denying};

impl Policies<'_> {
    /// Does a policy compare what gRPC cannot: what a token says, its own headers, the scheme, the name asked for in TLS, or
    /// whom a proxy in front names as the client?
    pub(crate) fn are_beyond_grpc(&self) -> bool {
        let authorizing = self.of_port.into_iter().flat_map(Gate::policies);
        let all = denying(self.authorization)
            .chain(authorizing)
            .chain(&self.authorization.allow);
        let mut routes = self.of_port.into_iter().flat_map(|gate| &gate.routes);
        all.flat_map(|policy| &policy.rules).any(is_beyond) || routes.any(tells_apart)
    }
}

fn is_beyond(rule: &PolicyRule) -> bool {
    rule.from.iter().any(asks_for) || rule.when.iter().any(asks_for_more)
}

fn asks_for(source: &Source) -> bool {
    let Source {
        request_principals,
        not_request_principals,
        remote_ip_blocks,
        not_remote_ip_blocks,
        ..
    } = source;
    let token = !request_principals.is_empty() || !not_request_principals.is_empty();
    token || !remote_ip_blocks.is_empty() || !not_remote_ip_blocks.is_empty()
}

fn asks_for_more(when: &Condition) -> bool {
    match &when.attribute {
        Attribute::RequestPrincipal
        | Attribute::RequestAudiences
        | Attribute::RequestPresenter
        | Attribute::RequestClaim(_)
        | Attribute::RemoteIp
        | Attribute::ConnectionSni => true,
        Attribute::RequestHeader(name) => is_of_grpc(name.as_str()),
        _ => false,
    }
}

/// Do routes in front of a port tell requests apart by that?
fn tells_apart(route: &GateRoute) -> bool {
    let matches = &route.matches;
    matches.scheme.is_some()
        || matches
            .headers
            .iter()
            .any(|header| is_of_grpc(header.name.as_str()))
}

fn is_of_grpc(header: &str) -> bool {
    header.starts_with("grpc-")
}
