//! Route: the model decides; this file only lends it the facts.

use wattle_http::RequestHead;
use wattle_model::{CallerFacts, RequestFacts};

/// The facts of a request's head.
pub(crate) fn facts(head: &RequestHead) -> RequestFacts<'_> {
    let target = head.path_and_query.as_str();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    RequestFacts {
        method: head.method.as_str(),
        scheme: head.scheme.as_str(),
        authority: head.authority.as_str(),
        path,
        query,
        headers: &head.headers,
        caller: CallerFacts::default(),
    }
}
