//! What a rule of a VirtualService does.

use std::sync::Arc;

use wattle_api::istio::{
    Body, DerivePort, Destination, HttpAction, HttpDestination, HttpRule, Redirect as Written,
    RedirectPort as Port,
};
use wattle_model::{
    Action, Chance, DirectResponse, Filters, Mirror, PathRewrite, Redirect, RedirectPort, RequestMatch,
    RetryPolicy, RouteRule, RuleRef, Timeouts, WeightedBackend,
};

use super::{Scene, changes, retries};
use crate::backend::Backends;
use crate::istio::policy;

/// A rule without its matches.
pub(super) struct Compiled {
    filters: Arc<Filters>,
    action: Arc<Action>,
    timeouts: Timeouts,
    retry: Option<Arc<RetryPolicy>>,
}

impl Compiled {
    /// The rule for one of its matches.
    pub(super) fn rule(&self, origin: RuleRef, matches: RequestMatch) -> RouteRule {
        RouteRule {
            origin,
            matches,
            filters: Arc::clone(&self.filters),
            action: Arc::clone(&self.action),
            timeouts: self.timeouts,
            retry: self.retry.clone(),
            session: None,
        }
    }
}

/// What `rule` does; where a part of it cannot be had, it refuses.
pub(super) fn of(rule: &HttpRule, scene: Scene<'_, '_>, backends: &mut Backends) -> Compiled {
    let filters = changes::filters(rule);
    let action = match (&rule.action, &filters) {
        (_, None) => Action::Forward(Vec::new()),
        (HttpAction::Route(destinations), _) => Action::Forward(
            destinations
                .iter()
                .map(|one| weighted(one, scene, backends))
                .collect(),
        ),
        (HttpAction::Redirect(written), _) => Action::Redirect(redirect(written)),
        (HttpAction::DirectResponse(written), _) => Action::Respond(DirectResponse {
            status: written.status,
            body: match &written.body {
                None => Box::default(),
                Some(Body::String(text)) => text.as_bytes().into(),
                Some(Body::Bytes(bytes)) => bytes.as_slice().into(),
            },
        }),
        // Followed by whoever called; a chain that is too long refuses.
        (HttpAction::Delegate(_), _) => Action::Forward(Vec::new()),
    };
    let mut filters = filters.unwrap_or_default();
    filters.mirrors = rule
        .mirrors
        .iter()
        .map(|mirror| mirrored(mirror, scene, backends))
        .collect();
    Compiled {
        filters: Arc::new(filters),
        action: Arc::new(action),
        timeouts: Timeouts {
            request: rule.timeout,
            backend_request: rule.retries.as_ref().and_then(|retries| retries.per_try_timeout),
            ..Timeouts::default()
        },
        retry: retries::policy(
            rule.retries.as_ref(),
            scene.view.has_istio_defaults(scene.namespace),
        )
        .map(Arc::new),
    }
}

fn weighted(written: &HttpDestination, scene: Scene<'_, '_>, backends: &mut Backends) -> WeightedBackend {
    let filters = changes::of_headers(&written.headers);
    let usable = filters.is_some();
    let found = backend(&written.destination, scene, backends).filter(|_| usable);
    WeightedBackend {
        backend: found,
        written: said(&written.destination),
        weight: written.weight,
        filters: filters.filter(|filters| !filters.is_empty()).map(Arc::new),
    }
}

fn mirrored(written: &wattle_api::istio::Mirror, scene: Scene<'_, '_>, backends: &mut Backends) -> Mirror {
    Mirror {
        backend: backend(&written.destination, scene, backends),
        written: said(&written.destination),
        chance: Chance::per_million(written.percentage.parts_per_million()),
    }
}

/// The backend that a destination names, for callers that dialled the scene's port.
pub(crate) fn backend(written: &Destination, scene: Scene<'_, '_>, backends: &mut Backends) -> Option<u32> {
    let found = policy::resolve(written, scene.namespace, scene.from, scene.port, scene.view).ok()?;
    Some(backends.add(found))
}

/// `reviews/v2:9080`.
pub(crate) fn said(written: &Destination) -> Box<str> {
    let subset = written
        .subset
        .as_ref()
        .map(|subset| format!("/{subset}"))
        .unwrap_or_default();
    let port = written.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{subset}{port}", written.host).into()
}

fn redirect(written: &Written) -> Redirect {
    let whole = written.uri.as_deref().map(|uri| PathRewrite::Full(uri.into()));
    let prefix = written
        .prefix_rewrite
        .as_deref()
        .map(|prefix| PathRewrite::Matched(prefix.into()));
    Redirect {
        scheme: written.scheme.map(Into::into),
        host: written.authority.as_deref().map(Into::into),
        port: match written.port {
            None => RedirectPort::AsSent,
            Some(Port::Port(port)) => RedirectPort::Fixed(port.number()),
            Some(Port::DerivePort(DerivePort::FromProtocolDefault)) => RedirectPort::OfScheme,
            Some(Port::DerivePort(DerivePort::FromRequestPort)) => RedirectPort::Dialled,
        },
        path: whole.or(prefix),
        status: written.redirect_code,
    }
}
