//! Last-known-good config on disk: a proxy that restarts while the control plane is away serves from it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;
use wattle_wire::proto::discovery::{EncodedAny, Resource as WireResource};
use wattle_wire::{Encoded, Kind, Resource, ResourceName};

use super::Held;

/// First bytes of the file; the number changes with its format.
const MAGIC: &[u8] = b"wattle-config-1\n";
/// A larger file is not read.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// One saved resource, decoded and as bytes.
pub(crate) type Entry = (ResourceName, Resource, Encoded);

/// The file that holds the config.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    path: PathBuf,
}

impl Saved {
    /// The file in a state directory.
    pub(crate) fn in_directory(state: &Path) -> Self {
        Self {
            path: state.join("config"),
        }
    }

    /// Reads it; a missing file is empty, a resource that does not decode is left out and counted.
    pub(crate) fn read(&self) -> io::Result<(Vec<Entry>, usize)> {
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(decode(Bytes::from(bytes)))
    }

    /// Has `held` start from what is saved of the wanted kinds; what cannot be read is told and left out.
    pub(crate) fn restore(&self, held: &mut Held, wanted: impl Fn(Kind) -> bool) {
        match self.read() {
            Ok((mut resources, refused)) => {
                resources.retain(|(name, ..)| wanted(name.kind));
                if !resources.is_empty() || refused > 0 {
                    let resources = resources.len();
                    tracing::info!(resources, refused, "saved configuration is in use");
                }
                held.restore(resources);
            }
            Err(error) => tracing::warn!(%error, "saved configuration could not be read"),
        }
    }

    /// Replaces it as a whole; readers see the old or the new one.
    pub(crate) fn write<'a>(
        &self,
        resources: impl Iterator<Item = (&'a ResourceName, &'a Encoded)>,
    ) -> io::Result<()> {
        write_private(&self.path, &encode(resources))
    }
}

/// Replaces a file by one that only its owner can read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, 0o600)
}

/// Replaces a file by one that everybody who gets to it can read.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

fn encode<'a>(resources: impl Iterator<Item = (&'a ResourceName, &'a Encoded)>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (name, encoded) in resources {
        let message = WireResource {
            name: name.name.to_string(),
            version: encoded.version.to_string(),
            resource: Some(EncodedAny {
                type_url: name.kind.type_url().to_owned(),
                value: encoded.bytes.clone(),
            }),
            ..WireResource::default()
        };
        message
            .encode_length_delimited(&mut out)
            .expect("a vector grows as needed");
    }
    out
}

fn decode(bytes: Bytes) -> (Vec<Entry>, usize) {
    let mut resources = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return (resources, usize::from(!bytes.is_empty()));
    };
    let mut refused = 0;
    while !rest.is_empty() {
        // After a message that is cut off nothing can be found any more.
        let Ok(message) = WireResource::decode_length_delimited(&mut rest) else {
            return (resources, refused + 1);
        };
        match resource(message) {
            Some(entry) => resources.push(entry),
            None => refused += 1,
        }
    }
    (resources, refused)
}

fn resource(message: WireResource) -> Option<Entry> {
    let any = message.resource?;
    let kind = Kind::from_type_url(&any.type_url)?;
    let resource = Resource::decode(kind, &any.value).ok()?;
    let encoded = Encoded {
        version: message.version.into(),
        bytes: any.value,
    };
    Some((ResourceName::new(kind, message.name), resource, encoded))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use wattle_model::Endpoints;

    fn endpoints(id: &str) -> (ResourceName, Resource, Encoded) {
        let resource = Resource::Endpoints(Endpoints {
            id: id.into(),
            endpoints: Vec::new(),
            ..Endpoints::default()
        });
        (resource.name(), resource.clone(), resource.encode())
    }

    #[test]
    fn what_was_saved_is_read_back_and_only_the_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let saved = Saved::in_directory(directory.path());
        let entries = [endpoints("a/b:1"), endpoints("c/d:2")];
        saved
            .write(entries.iter().map(|(name, _, encoded)| (name, encoded)))
            .unwrap();
        assert_eq!(saved.read().unwrap(), (entries.to_vec(), 0));
        assert_eq!(
            std::fs::metadata(&saved.path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_damaged_file_gives_what_is_whole() {
        let entries = [endpoints("a/b:1"), endpoints("c/d:2")];
        let whole = encode(entries.iter().map(|(name, _, encoded)| (name, encoded)));
        for cut in 0..whole.len() {
            let (read, refused) = decode(Bytes::copy_from_slice(&whole[..cut]));
            assert!(read.len() < 2 && (refused <= 1));
        }
    }

    #[test]
    fn no_file_is_no_config() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            Saved::in_directory(directory.path()).read().unwrap(),
            (Vec::new(), 0)
        );
    }
}
