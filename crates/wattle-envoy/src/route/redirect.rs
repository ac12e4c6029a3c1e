//! Redirects.

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_model::{HostMatch, PathMatch, Redirect, RedirectPort};
use xds::redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier};

use super::rewrite::{self, Change};
use crate::notes::Notes;

/// What a redirect is told of the request.
pub(super) struct Scene<'a> {
    /// The port that was dialled.
    pub(super) dialled: u16,
    /// The hosts that requests are for.
    pub(super) host: &'a HostMatch,
    /// The path match of the rule.
    pub(super) matched: Option<&'a PathMatch>,
}

pub(super) fn action(redirect: &Redirect, scene: &Scene<'_>, notes: &mut Notes) -> xds::RedirectAction {
    let (host_redirect, port_redirect) = authority(redirect, scene, notes);
    let path = redirect.path.as_ref();
    let path = path.and_then(|path| rewrite::change(path, scene.matched, notes));
    xds::RedirectAction {
        host_redirect,
        port_redirect,
        response_code: code(redirect.status).into(),
        scheme_rewrite_specifier: redirect
            .scheme
            .as_ref()
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.to_string())),
        path_rewrite_specifier: path.map(|change| match change {
            Change::Full(new) => PathRewriteSpecifier::PathRedirect(new),
            Change::Prefix(new) => PathRewriteSpecifier::PrefixRewrite(new),
            Change::Regex(change) => PathRewriteSpecifier::RegexRewrite(change),
        }),
        ..Default::default()
    }
}

fn code(status: u16) -> RedirectResponseCode {
    match status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    }
}

/// The host and port that the location shows; empty and 0 are the request's own.
fn authority(redirect: &Redirect, scene: &Scene<'_>, notes: &mut Notes) -> (String, u32) {
    let host = redirect.host.as_deref();
    if redirect.port == RedirectPort::AsSent {
        return (host.unwrap_or_default().to_owned(), 0);
    }
    let scheme = redirect.scheme.as_deref().unwrap_or("http");
    let named = match redirect.port {
        RedirectPort::Listener => {
            let asked = redirect.scheme.as_deref().and_then(well_known_port);
            Some(asked.unwrap_or(scene.dialled))
        }
        RedirectPort::Fixed(port) => Some(port),
        RedirectPort::Dialled => Some(scene.dialled),
        RedirectPort::OfScheme | RedirectPort::AsSent => None,
    };
    let own = well_known_port(scheme);
    let shown = named.filter(|port| Some(*port) != own);
    let exact = match scene.host {
        HostMatch::Exact(host) => Some(&**host),
        HostMatch::Suffix(_) | HostMatch::Any => None,
    };
    match (shown, host.or(exact)) {
        (Some(port), host) => (host.unwrap_or_default().to_owned(), port.into()),
        (None, Some(host)) => (host.to_owned(), 0),
        // Clients leave out the port that they dialled, or Envoy takes it away with the scheme.
        (None, None) if scene.dialled == 80 => (String::new(), 0),
        (None, None) => {
            notes.gap("the location shows the port even where its scheme says it, since the host is the request's own");
            (String::new(), own.unwrap_or(scene.dialled).into())
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
