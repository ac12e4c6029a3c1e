//! Trust to messages and back; whether roots are roots is for who verifies with them to say.

use wattle_model::{Trust, TrustedDomain};

use super::{Decoded, Reader};
use crate::proto::mesh;

/// Most trust domains.
const MAX_DOMAINS: usize = 64;
/// Most roots of a trust domain.
const MAX_ROOTS: usize = 16;
/// Most revocation lists.
const MAX_LISTS: usize = 64;

pub(crate) fn to_mesh(value: &Trust) -> mesh::Trust {
    let domain = |domain: &TrustedDomain| mesh::TrustedDomain {
        name: domain.name.to_string(),
        roots: domain.roots.clone(),
    };
    mesh::Trust {
        issuer: value.issuer.to_string(),
        domains: value.domains.iter().map(domain).collect(),
        aliases: value.aliases.iter().map(ToString::to_string).collect(),
        revocation_lists: value.revocation_lists.clone(),
    }
}

pub(crate) fn to_model(reader: &mut Reader, message: mesh::Trust) -> Decoded<Trust> {
    reader.size("domains", message.domains.len(), MAX_DOMAINS)?;
    reader.size("aliases", message.aliases.len(), MAX_DOMAINS)?;
    reader.size("revocation_lists", message.revocation_lists.len(), MAX_LISTS)?;
    Ok(Trust {
        issuer: message.issuer.into(),
        domains: reader.list("domains", message.domains, domain)?,
        aliases: reader.list("aliases", message.aliases, |reader, alias| {
            reader.text("alias", alias)
        })?,
        revocation_lists: message.revocation_lists,
    })
}

fn domain(reader: &mut Reader, message: mesh::TrustedDomain) -> Decoded<TrustedDomain> {
    reader.size("roots", message.roots.len(), MAX_ROOTS)?;
    if message.roots.is_empty() {
        return Err(reader.error("roots are missing"));
    }
    Ok(TrustedDomain {
        name: reader.text("name", message.name)?,
        roots: message.roots,
    })
}
