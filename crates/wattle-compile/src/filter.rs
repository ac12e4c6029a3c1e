//! Filters of a route. What cannot be done here makes the rule or backend refuse its requests.

use http::{HeaderName, HeaderValue};
use wattle_api::{Filter, HeaderModifier as Written, PathModifier};
use wattle_model::{
    Chance, Filters, HeaderModifier, Mirror, PathRewrite, Redirect, RedirectPort, UrlRewrite,
};

use crate::backend::Target;
use crate::route::Compiler;

mod cors;

/// What the filters of a rule or backend come to.
#[derive(Default)]
pub(crate) struct Effect {
    pub(crate) filters: Filters,
    pub(crate) redirect: Option<Redirect>,
    /// True when one of them cannot be done.
    pub(crate) unsupported: bool,
}

/// Whether a filter cannot be done, so that its requests must be refused.
pub(crate) fn is_unsupported(filter: &Filter) -> bool {
    match filter {
        Filter::Unsupported(_) => true,
        Filter::Cors(written) => cors::cors(written).is_none(),
        _ => false,
    }
}

/// Whether a filter cannot be done for one backend: only a whole rule redirects, and only a rule, or its `alone`
/// backend, answers for CORS.
pub(crate) fn is_unsupported_of_backend(filter: &Filter, alone: bool) -> bool {
    matches!(filter, Filter::RequestRedirect(_))
        || (matches!(filter, Filter::Cors(_)) && !alone)
        || is_unsupported(filter)
}

/// What the last filter for CORS permits.
pub(crate) fn cors_of(written: &[Filter]) -> Option<Box<wattle_model::Cors>> {
    written.iter().rev().find_map(|filter| match filter {
        Filter::Cors(written) => cors::cors(written).map(Box::new),
        _ => None,
    })
}

/// The effect of all filters together.
pub(crate) fn effect(written: &[Filter], compiler: &mut Compiler<'_, '_>) -> Effect {
    let mut effect = Effect::default();
    for filter in written {
        match filter {
            Filter::RequestHeaderModifier(change) => {
                effect.unsupported |= !extend(&mut effect.filters.request_headers, change);
            }
            Filter::ResponseHeaderModifier(change) => {
                effect.unsupported |= !extend(&mut effect.filters.response_headers, change);
            }
            Filter::RequestRedirect(redirect) => effect.redirect = Some(to(redirect)),
            Filter::UrlRewrite(rewrite) => {
                effect.filters.rewrite = UrlRewrite {
                    host: rewrite.hostname.as_deref().map(Into::into),
                    path: rewrite.path.as_ref().map(path),
                };
            }
            Filter::RequestMirror(mirror) => effect.filters.mirrors.push(copy(mirror, compiler)),
            Filter::Cors(written) => match cors::cors(written) {
                Some(cors) => effect.filters.cors = Some(Box::new(cors)),
                None => effect.unsupported = true,
            },
            Filter::Unsupported(_) => effect.unsupported = true,
        }
    }
    effect
}

fn copy(written: &wattle_api::Mirror, compiler: &mut Compiler<'_, '_>) -> Mirror {
    let target = Target::from(&written.backend_ref);
    Mirror {
        backend: compiler.index(&target),
        written: target.to_string().into(),
        chance: Chance::of(written.fraction.numerator, written.fraction.denominator),
    }
}

fn to(written: &wattle_api::Redirect) -> Redirect {
    Redirect {
        scheme: written.scheme.map(Into::into),
        host: written.hostname.as_deref().map(Into::into),
        port: written
            .port
            .map_or(RedirectPort::Listener, |port| RedirectPort::Fixed(port.number())),
        path: written.path.as_ref().map(path),
        status: written.status_code,
    }
}

fn path(written: &PathModifier) -> PathRewrite {
    match written {
        PathModifier::ReplaceFullPath(path) => PathRewrite::Full(path.as_str().into()),
        PathModifier::ReplacePrefixMatch(prefix) => PathRewrite::Prefix(prefix.as_str().into()),
    }
}

/// Adds the written changes; false when one of them is not a valid header.
fn extend(modifier: &mut HeaderModifier, written: &Written) -> bool {
    let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
    let header =
        |header: &wattle_api::Header| Some((name(&header.name)?, HeaderValue::from_str(&header.value).ok()?));
    let set: Option<Vec<_>> = written.set.iter().map(header).collect();
    let add: Option<Vec<_>> = written.add.iter().map(header).collect();
    let remove: Option<Vec<_>> = written.remove.iter().map(|header| name(header)).collect();
    let (Some(set), Some(add), Some(remove)) = (set, add, remove) else {
        return false;
    };
    modifier.set.extend(set);
    modifier.add.extend(add);
    modifier.remove.extend(remove);
    true
}
