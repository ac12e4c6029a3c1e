//! Filters of an HTTPRoute. What cannot be done here makes the rule or backend refuse its requests.

use http::{HeaderName, HeaderValue};
use wattle_api::{Filter, HeaderModifier as Written, PathModifier};
use wattle_model::{Filters, HeaderModifier, PathRewrite, Redirect, RedirectPort, UrlRewrite};

/// What the filters of a rule or backend come to.
#[derive(Default)]
pub(crate) struct Effect {
    pub(crate) filters: Filters,
    pub(crate) redirect: Option<Redirect>,
    /// True when one of them cannot be done.
    pub(crate) unsupported: bool,
}

/// Whether a filter cannot be done yet, so that its requests must be refused.
pub(crate) fn is_unsupported(filter: &Filter) -> bool {
    matches!(
        filter,
        Filter::RequestMirror(_) | Filter::Cors(_) | Filter::Unsupported(_)
    )
}

/// The effect of all filters together.
pub(crate) fn effect(written: &[Filter]) -> Effect {
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
            Filter::RequestMirror(_) | Filter::Cors(_) | Filter::Unsupported(_) => effect.unsupported = true,
        }
    }
    effect
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
