//! Servers outside the mesh: whose name they are asked for, and the settings for that.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use wattle_model::HostMatch;
use wattle_model::traffic::UpstreamTls;

use super::Bounds;
use crate::identity::Outside;

/// Whose name a server is asked for.
pub(super) enum Named {
    /// This one, as far as it is one.
    As(Option<ServerName<'static>>),
    /// The request's, if it is one of these.
    ByRequest(HostMatch),
}

impl Default for Named {
    fn default() -> Self {
        Self::As(None)
    }
}

/// Protocols offered in a handshake, most preferred first.
type Offer = &'static [&'static [u8]];
pub(super) type OutsideTls = (Offer, Arc<Outside>, Arc<ClientConfig>);

impl Bounds {
    /// The host of the backend's service; a wildcard stands for the hosts that requests ask for.
    pub(crate) fn name_server(&self, host: Option<&str>) {
        *self.host.borrow_mut() = match host {
            Some(host) if host.starts_with('*') => Named::ByRequest(HostMatch::parse(host)),
            Some(host) => Named::As(ServerName::try_from(host.to_owned()).ok()),
            None => Named::As(None),
        };
    }

    /// Whose name a server outside the mesh is asked for where the policy names none; `asked` is the request's host, which
    /// counts below a wildcard alone.
    pub(crate) fn server_name(&self, asked: Option<&str>) -> Option<ServerName<'static>> {
        match &*self.host.borrow() {
            Named::As(name) => name.clone(),
            Named::ByRequest(wanted) => {
                let asked = asked.filter(|asked| wanted.matches(asked))?;
                ServerName::try_from(asked.to_ascii_lowercase()).ok()
            }
        }
    }

    /// Does the name depend on the request, so that requests for one must not go over connections for another?
    pub(crate) fn is_named_by_request(&self) -> bool {
        let by_policy = match &self.policy.borrow().tls {
            UpstreamTls::Origination { sni, .. } => sni.is_some(),
            _ => true,
        };
        !by_policy && matches!(&*self.host.borrow(), Named::ByRequest(_))
    }

    /// TLS settings towards the outside with this offer, made once for what the files hold.
    pub(crate) fn outside_tls<E>(
        &self,
        offer: Offer,
        material: &Arc<Outside>,
        make: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
    ) -> Result<Arc<ClientConfig>, E> {
        let mut known = self.tls.borrow_mut();
        known.retain(|(_, of, _)| Arc::ptr_eq(of, material));
        if let Some((_, _, config)) = known.iter().find(|(by, _, _)| *by == offer) {
            return Ok(config.clone());
        }
        let config = make()?;
        known.push((offer, material.clone(), config.clone()));
        Ok(config)
    }

    /// Makes TLS settings anew from now on.
    pub(crate) fn forget_tls(&self) {
        self.tls.borrow_mut().clear();
    }
}
