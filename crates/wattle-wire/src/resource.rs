//! One xDS resource of Wattle's own types: name, kind, value, encoded form.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use wattle_model::{Destination, Endpoints, Inbound, Names, Trust, Workload};

use crate::convert::{DecodeError, Reader, to_mesh, to_model};
use crate::proto::mesh;

/// The resource types of the mesh (DESIGN §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Named `ip:port` or `host:port`.
    Destination,
    /// Named by backend id.
    Endpoints,
    /// Named `namespace/instance`.
    Inbound,
    /// Named by ip.
    Peer,
    /// Named by namespace.
    Names,
    /// Named [`Trust::NAME`].
    Trust,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Inbound,
        Self::Destination,
        Self::Endpoints,
        Self::Peer,
        Self::Names,
        Self::Trust,
    ];

    /// The xDS type URL.
    pub fn type_url(self) -> &'static str {
        match self {
            Self::Destination => "type.googleapis.com/wattle.v1.Destination",
            Self::Endpoints => "type.googleapis.com/wattle.v1.Endpoints",
            Self::Inbound => "type.googleapis.com/wattle.v1.Inbound",
            Self::Peer => "type.googleapis.com/wattle.v1.Peer",
            Self::Names => "type.googleapis.com/wattle.v1.Names",
            Self::Trust => "type.googleapis.com/wattle.v1.Trust",
        }
    }

    /// The kind with this type URL.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Short name for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Destination => "Destination",
            Self::Endpoints => "Endpoints",
            Self::Inbound => "Inbound",
            Self::Peer => "Peer",
            Self::Names => "Names",
            Self::Trust => "Trust",
        }
    }
}

/// Kind and name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName {
    /// Its kind.
    pub kind: Kind,
    /// Its name within the kind; at most [`ResourceName::MAX_LEN`] bytes.
    pub name: Arc<str>,
}

impl ResourceName {
    /// Longest name accepted from a peer, bytes.
    pub const MAX_LEN: usize = 512;

    /// Kind and name together.
    pub fn new(kind: Kind, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// The workload behind an address, for labels of telemetry only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// Who it is.
    pub workload: Workload,
}

/// A decoded resource.
// Few at a time, and boxed by whoever keeps one.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// What an outbound proxy dials.
    Destination(Destination),
    /// Addresses behind a backend.
    Endpoints(Endpoints),
    /// What a workload's own proxy enforces.
    Inbound(Inbound),
    /// Who an address belongs to.
    Peer(Peer),
    /// What the workload's resolver answers.
    Names(Names),
    /// Whom to believe.
    Trust(Trust),
}

/// A resource as bytes, shared by every stream that wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Version: a hash of the bytes, so that an unchanged value keeps its version across restarts.
    pub version: Arc<str>,
    /// Protobuf bytes.
    pub bytes: Bytes,
}

impl Encoded {
    /// Bytes that came from elsewhere, e.g. a saved state.
    pub fn new(bytes: Bytes) -> Self {
        Self {
            version: format!("{:016x}", fnv1a(&bytes)).into(),
            bytes,
        }
    }
}

impl Resource {
    /// Its kind and name.
    pub fn name(&self) -> ResourceName {
        match self {
            Self::Destination(value) => ResourceName::new(Kind::Destination, value.name.clone()),
            Self::Endpoints(value) => ResourceName::new(Kind::Endpoints, value.id.clone()),
            Self::Inbound(value) => ResourceName::new(Kind::Inbound, value.name.clone()),
            Self::Peer(value) => ResourceName::new(Kind::Peer, value.ip.to_string()),
            Self::Names(value) => ResourceName::new(Kind::Names, value.namespace.clone()),
            Self::Trust(_) => ResourceName::new(Kind::Trust, Trust::NAME),
        }
    }

    /// Encodes it; the same value always gives the same bytes.
    pub fn encode(&self) -> Encoded {
        let bytes = match self {
            Self::Destination(value) => to_mesh::destination(value).encode_to_vec(),
            Self::Endpoints(value) => to_mesh::endpoints(value).encode_to_vec(),
            Self::Inbound(value) => to_mesh::inbound(value).encode_to_vec(),
            Self::Peer(value) => to_mesh::peer(value).encode_to_vec(),
            Self::Names(value) => to_mesh::names(value).encode_to_vec(),
            Self::Trust(value) => to_mesh::trust(value).encode_to_vec(),
        };
        Encoded::new(bytes.into())
    }

    /// Decodes bytes of a peer; fails with the path of the first field that makes no sense.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::default();
        match kind {
            Kind::Destination => {
                let message = parse::<mesh::Destination>(bytes)?;
                to_model::destination(&mut reader, message).map(Self::Destination)
            }
            Kind::Endpoints => {
                let message = parse::<mesh::Endpoints>(bytes)?;
                to_model::endpoints(&mut reader, message).map(Self::Endpoints)
            }
            Kind::Inbound => {
                let message = parse::<mesh::Inbound>(bytes)?;
                to_model::inbound(&mut reader, message).map(Self::Inbound)
            }
            Kind::Peer => {
                let message = parse::<mesh::Peer>(bytes)?;
                to_model::peer(&mut reader, message).map(Self::Peer)
            }
            Kind::Names => {
                let message = parse::<mesh::Names>(bytes)?;
                to_model::names(&mut reader, message).map(Self::Names)
            }
            Kind::Trust => {
                let message = parse::<mesh::Trust>(bytes)?;
                to_model::trust(&mut reader, message).map(Self::Trust)
            }
        }
    }
}

fn parse<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| DecodeError::new("", format!("not a protobuf message: {error}")))
}

/// FNV-1a, 64 bit: a content version, not a defence; both ends are authenticated.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
