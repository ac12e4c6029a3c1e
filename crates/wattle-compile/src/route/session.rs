//! Sessions that stay with one endpoint (GEP-1619): a rule's own, else that of the policy of its backend.

use std::sync::Arc;

use http::HeaderName;
use wattle_api::{CookieLifetime, SessionCarrier as Written, SessionPersistence as Spec};
use wattle_model::traffic::hash_text;
use wattle_model::{Action, SessionCarrier, SessionPersistence};

use super::{Compiler, Effect};
use crate::backend_policy;

/// The session as `written`; `owner` makes the default name, which must not be that of another rule's session.
pub(crate) fn session(written: &Spec, owner: &str, path: &str) -> Option<SessionPersistence> {
    let default = || format!("wattle-session-{:08x}", hash_text(owner) >> 32);
    let name = written.session_name.clone().unwrap_or_else(default);
    let lifetime = written.cookie_config.map(|config| config.lifetime_type);
    let carrier = match written.carrier {
        Written::Cookie => SessionCarrier::Cookie {
            name: name.into(),
            permanent: lifetime == Some(CookieLifetime::Permanent),
            path: path.into(),
        },
        Written::Header => SessionCarrier::Header(HeaderName::from_bytes(name.as_bytes()).ok()?),
    };
    Some(SessionPersistence {
        carrier,
        absolute_timeout: written.absolute_timeout,
    })
}

impl Compiler<'_, '_> {
    /// The session of a rule; that of the first backend which has one where the rule says none.
    pub(super) fn session(
        &self,
        written: Option<&Spec>,
        index: usize,
        path: &str,
        effect: &Effect,
    ) -> Option<Arc<SessionPersistence>> {
        if let Some(written) = written {
            let meta = self.route.meta;
            let owner = format!("{} {}/{} {index}", self.route.kind, meta.namespace, meta.name);
            return session(written, &owner, path).map(Arc::new);
        }
        let Action::Forward(forwarded) = &*effect.action else {
            return None;
        };
        let indexes = forwarded.iter().filter_map(|part| part.backend);
        let mut services = indexes
            .filter_map(|index| self.backends.0.get(index as usize))
            .filter_map(|backend| backend.service.as_ref());
        services.find_map(|service| {
            let name = (Arc::clone(&service.namespace), Arc::clone(&service.name));
            backend_policy::session(&name, self.view).map(Arc::new)
        })
    }
}
