//! How a proxy is started: its arguments, and what it sees elsewhere than it is.

use std::path::Path;

use anyhow::Context as _;
use wattle_api::Certificate;
use wattle_capture::SpawnSpec;
use wattle_capture::privileges::{Exemption, PROXY_MARK};
use wattle_capture::redirect::DNS_PORT;
use wattle_identity::{SpiffeId, TrustDomain};

use super::super::application::beside_manifest;
use super::super::envoy;
use super::{Kept, TOKEN};

/// Trust domain of every mesh of this kind.
const TRUST_DOMAIN: &str = "cluster.local";
/// Longest time for open work of an Envoy, which takes a while to end after that.
const ENVOY_DRAIN: std::time::Duration = std::time::Duration::from_secs(7);

impl Kept {
    pub(super) fn program(&self, state: &Path) -> anyhow::Result<SpawnSpec> {
        let trust_domain = TrustDomain::new(TRUST_DOMAIN)?;
        let account = &self.spec.process.spec.service_account_name;
        let id = SpiffeId::new(&trust_domain, &self.spec.name.namespace, account)?;
        let world = &self.world;
        let mut arguments = vec!["proxy".to_owned()];
        let mut flag = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        flag("id", id.to_string());
        flag("instance", self.spec.name.name.clone());
        flag("control", world.discovery().to_string());
        flag("roots", world.place.roots().display().to_string());
        match &self.spec.process.spec.proxy.certificate {
            None => flag("token", world.place.own().join(TOKEN).display().to_string()),
            Some(Certificate::WorkloadApi(socket)) => flag("workload-api", format!("unix://{socket}")),
            Some(Certificate::Service {
                address,
                roots,
                token,
            }) => {
                let beside = |path: &str| beside_manifest(&self.spec.process, path).display().to_string();
                flag("ca-address", address.clone());
                flag("ca-roots", beside(roots));
                flag("ca-token", beside(token));
            }
        }
        flag("state", world.place.own().display().to_string());
        flag("dns-port", DNS_PORT.to_string());
        if world.exemption == Exemption::Mark {
            flag("mark", PROXY_MARK.to_string());
        }
        if let Some(workers) = world.assignment.proxy_workers {
            flag("workers", workers.to_string());
        }
        if world.assignment.access_log {
            flag("access-log", "-".to_owned());
        }
        if self.envoy.is_some() {
            let shown = world.place.own().join(envoy::SHOWN_AS);
            flag("envoy", shown.display().to_string());
            flag("drain-grace", format!("{}s", ENVOY_DRAIN.as_secs()));
        }
        let mut program = SpawnSpec::new("/proc/self/exe", arguments).as_proxy(world.exemption);
        program.binds = world.proxy_binds(state);
        if let Some(envoy) = &self.envoy {
            // It may be where the proxy's user cannot go.
            let covered = state.join(envoy::SHOWN_AS);
            std::fs::write(&covered, "").context("cannot make a place for Envoy")?;
            program
                .binds
                .push((envoy, world.place.own().join(envoy::SHOWN_AS)).into());
        }
        program.binds.push((&self.names.hosts, "/etc/hosts").into());
        program
            .binds
            .push((&self.names.resolvers_outside, "/etc/resolv.conf").into());
        Ok(program)
    }
}
