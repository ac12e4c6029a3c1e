//! A gateway as a route names it.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

/// A gateway, or the mesh itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatewayRef {
    /// `mesh`: every proxy beside a workload.
    Mesh,
    /// A Gateway.
    Gateway {
        /// Namespace; none means the route's.
        namespace: Option<String>,
        /// Name.
        name: String,
    },
}

impl fmt::Display for GatewayRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh"),
            Self::Gateway {
                namespace: Some(namespace),
                name,
            } => write!(f, "{namespace}/{name}"),
            Self::Gateway {
                namespace: None,
                name,
            } => f.write_str(name),
        }
    }
}

impl Serialize for GatewayRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(crate) fn gateway_ref(cursor: &Cursor<'_>) -> Decoded<GatewayRef> {
    let text = scalar::text(cursor)?;
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None if text == "mesh" => return Ok(GatewayRef::Mesh),
        None => (None, text.as_str()),
    };
    if !scalar::is_subdomain(name) || !namespace.is_none_or(scalar::is_label) {
        let reason = format!(
            "found {}, expected mesh, a gateway's name or NAMESPACE/NAME",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-name", reason));
    }
    Ok(GatewayRef::Gateway {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    })
}
