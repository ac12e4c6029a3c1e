//! Who gives a process its certificate, if not the control plane.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

/// Longest text of an address or path, in bytes.
const MAX_TEXT: usize = 4096;

/// Who gives the certificate of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// The SPIFFE Workload API on this socket of the machine, an absolute path.
    WorkloadApi(String),
    /// A service with Istio's certificate API, such as istio-csr.
    Service {
        /// `HOST:PORT`; the host must be a name of its own certificate.
        address: String,
        /// PEM file with the roots of its own certificate; relative to the manifest's directory.
        roots: String,
        /// File with the bearer token; relative to the manifest's directory.
        token: String,
    },
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Service<'a> {
            address: &'a str,
            roots: &'a str,
            token: &'a str,
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::WorkloadApi(socket) => map.serialize_entry("workloadAPI", &format!("unix://{socket}"))?,
            Self::Service {
                address,
                roots,
                token,
            } => {
                map.serialize_entry(
                    "service",
                    &Service {
                        address,
                        roots,
                        token,
                    },
                )?;
            }
        }
        map.end()
    }
}

pub(super) fn certificate(cursor: &Cursor<'_>) -> Decoded<Certificate> {
    let fields = cursor.fields(&["workloadAPI", "service"])?;
    let socket = fields.optional("workloadAPI", socket)?;
    let service = fields.optional("service", service)?;
    match (socket, service) {
        (Some(socket), None) => Ok(Certificate::WorkloadApi(socket)),
        (None, Some(service)) => Ok(service),
        _ => Err(cursor.refuse(
            "incompatible-fields",
            "expected exactly one of workloadAPI, service",
        )),
    }
}

fn socket(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = bounded(cursor)?;
    match text.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
        Some(path) => Ok(path.to_owned()),
        None => Err(cursor.refuse(
            "invalid-address",
            format!("found {}, expected unix:///ABSOLUTE-PATH", quote(&text)),
        )),
    }
}

fn service(cursor: &Cursor<'_>) -> Decoded<Certificate> {
    let fields = cursor.fields(&["address", "roots", "token"])?;
    let address = fields.required("address", address);
    let roots = fields.required("roots", bounded);
    let token = fields.required("token", bounded);
    Ok(Certificate::Service {
        address: address?,
        roots: roots?,
        token: token?,
    })
}

fn address(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = bounded(cursor)?;
    let parts = text.rsplit_once(':');
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(':'),
    };
    match parts {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0) => Ok(text),
        _ => Err(cursor.refuse(
            "invalid-address",
            format!(
                "found {}, expected HOST:PORT, such as cert-manager-istio-csr.cert-manager.svc:443",
                quote(&text)
            ),
        )),
    }
}

fn bounded(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    match text.contains('\0') || text.len() > MAX_TEXT {
        true => Err(cursor.refuse("invalid-text", "found a NUL character or more than 4 KiB")),
        false => Ok(text),
    }
}
