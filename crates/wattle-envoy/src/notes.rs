//! What is written down while encoding: resources, and what could not be said.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use wattle_model::ObjectRef;

use crate::{Gap, Kind, Resource, Resources};

/// What could not be said, each once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    gaps: BTreeSet<Gap>,
    origin: Option<ObjectRef>,
    place: Arc<str>,
}

impl Notes {
    /// What follows concerns this place, as this object asked for it.
    pub(crate) fn at(&mut self, origin: Option<&ObjectRef>, place: &Arc<str>) {
        self.origin = origin.cloned();
        self.place = Arc::clone(place);
    }

    /// Something cannot be said; `reason` tells what, and what happens instead.
    pub(crate) fn gap(&mut self, reason: impl Into<Arc<str>>) {
        self.gaps.insert(Gap {
            origin: self.origin.clone(),
            place: Arc::clone(&self.place),
            reason: reason.into(),
        });
    }
}

/// Resources as they are made.
#[derive(Debug, Default)]
pub(crate) struct Output(Resources);

impl Output {
    /// One more message.
    pub(crate) fn add(&mut self, kind: Kind, name: &str, message: &impl Message) {
        self.add_bytes(kind, name, message.encode_to_vec());
    }

    /// The same for a message that is serialised already.
    pub(crate) fn add_bytes(&mut self, kind: Kind, name: &str, body: Vec<u8>) {
        let version = format!("{:016x}", fnv(&body)).into();
        let body = Bytes::from(body);
        let of_kind = self.0.resources.entry(kind).or_default();
        of_kind.insert(name.into(), Resource { body, version });
    }

    /// All of them, with what could not be said.
    pub(crate) fn finish(mut self, notes: Notes) -> Resources {
        self.0.gaps = notes.gaps.into_iter().collect();
        self.0
    }
}

/// FNV-1a, the same in every build.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
