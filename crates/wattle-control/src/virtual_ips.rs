//! Virtual addresses for Services that have none of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use wattle_compile::{Mesh, Name};

/// First address of the range, 10.96.0.0/16, Kubernetes' customary one.
const RANGE: u32 = u32::from_be_bytes([10, 96, 0, 0]);
/// Addresses of the range, the first and last of which are never given.
const SIZE: u32 = 1 << 16;

/// Which Service has which address. The same names get the same addresses wherever they are first met, save where two
/// would share one.
#[derive(Debug, Default)]
pub(crate) struct VirtualIps {
    assigned: BTreeMap<Name, Ipv4Addr>,
}

impl VirtualIps {
    /// Those of an earlier run.
    pub(crate) fn restored(assigned: BTreeMap<Name, Ipv4Addr>) -> Self {
        Self { assigned }
    }

    /// Who has what.
    pub(crate) fn assigned(&self) -> &BTreeMap<Name, Ipv4Addr> {
        &self.assigned
    }

    /// Gives addresses to the Services of `mesh` that need one; says whether anything changed.
    pub(crate) fn serve(&mut self, mesh: &mut Mesh) -> bool {
        let mut changed = false;
        let needing = mesh.without_virtual_ip();
        if needing.is_empty() {
            return changed;
        }
        let in_use: BTreeSet<IpAddr> = mesh.services().filter_map(|(_, address, _)| address).collect();
        let mut taken: BTreeSet<IpAddr> = self.assigned.values().copied().map(IpAddr::V4).collect();
        taken.extend(&in_use);
        for name in needing {
            let address = match self.assigned.get(&name) {
                // Somebody may have written it down for another Service meanwhile.
                Some(address) if !in_use.contains(&IpAddr::V4(*address)) => Some(*address),
                _ => free(&name, &taken),
            };
            let Some(address) = address else {
                tracing::error!(service = %format!("{}/{}", name.0, name.1), "no virtual address is left in 10.96.0.0/16");
                continue;
            };
            taken.insert(IpAddr::V4(address));
            mesh.assign_virtual_ip(&name.0, &name.1, Some(IpAddr::V4(address)));
            changed |= self.assigned.insert(name, address) != Some(address);
        }
        changed
    }

    /// Takes back the address of a Service that is gone.
    pub(crate) fn release(&mut self, name: &Name, mesh: &mut Mesh) -> bool {
        mesh.assign_virtual_ip(&name.0, &name.1, None);
        self.assigned.remove(name).is_some()
    }

    /// Takes back the addresses of all Services that are gone.
    pub(crate) fn sweep(&mut self, mesh: &mut Mesh) -> bool {
        let services: BTreeSet<Name> = mesh.services().map(|(name, _, _)| name).collect();
        let gone: Vec<Name> = self
            .assigned
            .keys()
            .filter(|name| !services.contains(*name))
            .cloned()
            .collect();
        for name in &gone {
            self.release(name, mesh);
        }
        !gone.is_empty()
    }
}

/// The first free address from the one that the name leads to.
fn free(name: &Name, taken: &BTreeSet<IpAddr>) -> Option<Ipv4Addr> {
    let start = hash(name) % SIZE;
    let hosts = (0..SIZE)
        .map(|step| (start + step) % SIZE)
        .filter(|host| *host != 0 && *host != SIZE - 1);
    hosts
        .map(|host| Ipv4Addr::from(RANGE + host))
        .find(|address| !taken.contains(&IpAddr::V4(*address)))
}

/// FNV-1a, 32 bit.
fn hash(name: &Name) -> u32 {
    let bytes = name.0.bytes().chain([b'/']).chain(name.1.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wattle_compile::Settings;

    use super::*;

    fn mesh(services: &[(&str, &str)]) -> Mesh {
        let mut mesh = Mesh::new(Settings::default());
        for (name, address) in services {
            let text = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{address} ports: [{{port: 80}}]}}\n"
            );
            for object in wattle_api::parse(&text, "services.yaml").objects {
                mesh.apply(object);
            }
        }
        mesh
    }

    fn address(mesh: &Mesh, wanted: &str) -> Option<IpAddr> {
        mesh.services()
            .find(|(name, _, _)| &*name.1 == wanted)
            .and_then(|(_, address, _)| address)
    }

    #[test]
    fn the_same_names_get_the_same_addresses_in_any_order() {
        let (mut one, mut other) = (mesh(&[("a", ""), ("b", "")]), mesh(&[("b", "")]));
        assert!(VirtualIps::default().serve(&mut one));
        VirtualIps::default().serve(&mut other);
        assert_eq!(address(&one, "b"), address(&other, "b"));
        assert_ne!(address(&one, "a"), address(&one, "b"));
        assert!(address(&one, "a").unwrap().to_string().starts_with("10.96."));
    }

    #[test]
    fn an_address_stays_while_the_service_does() {
        let mut ips = VirtualIps::default();
        let mut first = mesh(&[("a", ""), ("b", "")]);
        ips.serve(&mut first);
        let mut restarted = mesh(&[("a", "")]);
        let mut restored = VirtualIps::restored(ips.assigned().clone());
        assert!(!restored.serve(&mut restarted), "a has the address it had");
        assert!(restored.sweep(&mut restarted), "b is gone");
        assert_eq!(address(&restarted, "a"), address(&first, "a"));
        assert_eq!(restored.assigned().len(), 1);
        assert!(!restored.sweep(&mut restarted));
    }

    #[test]
    fn an_address_written_down_is_given_to_no_other() {
        let mut plain = mesh(&[("a", "")]);
        VirtualIps::default().serve(&mut plain);
        let own = address(&plain, "a").unwrap().to_string();
        let mut contested = mesh(&[
            ("a", ""),
            ("b", &format!("clusterIP: {own},")),
            ("c", "clusterIP: None,"),
        ]);
        VirtualIps::default().serve(&mut contested);
        assert_eq!(address(&contested, "b").unwrap().to_string(), own);
        assert_ne!(address(&contested, "a").unwrap().to_string(), own);
        assert_eq!(address(&contested, "c"), None);
        let mut later = mesh(&[("a", ""), ("b", &format!("clusterIP: {own},"))]);
        VirtualIps::restored(BTreeMap::from([(
            ("default".into(), "a".into()),
            own.parse().unwrap(),
        )]))
        .serve(&mut later);
        assert_ne!(address(&later, "a").unwrap().to_string(), own);
    }
}
