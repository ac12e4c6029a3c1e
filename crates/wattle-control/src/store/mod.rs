//! What must survive a restart, in one file: the authority's keys, certificates given, hashes of join tokens, virtual
//! addresses, fetched keys.

mod authority;
mod key_sets;
mod leaves;
mod tokens;
mod virtual_ips;

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, TableDefinition};

pub(crate) use leaves::Leaf;
pub(crate) use tokens::RedeemError;

/// Format of the file, to be raised when an older program could misread a newer file.
const FORMAT: &str = "1";
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// The store; calls block on the disk.
pub(crate) struct Store {
    database: Database,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or file cannot be made or protected.
    #[error("state in {} cannot be prepared", .0.display())]
    Prepare(PathBuf, #[source] io::Error),
    /// The file is not a store, or another control plane has it open.
    #[error("store {} cannot be opened", .0.display())]
    Open(PathBuf, #[source] redb::DatabaseError),
    /// A read or write failed.
    #[error("store cannot be read or written")]
    Access(#[source] redb::Error),
    /// Written by a program whose format this one does not know.
    #[error("store has format \"{0}\", \"{FORMAT}\" expected")]
    Format(String),
    /// What is stored makes no sense.
    #[error("store holds a damaged {0}")]
    Damaged(&'static str),
    /// The authority cannot be made or read.
    #[error("authority cannot be made or read")]
    Authority(#[source] wattle_identity::AuthorityError),
    /// Too many join tokens wait for their use.
    #[error("too many join tokens are waiting, at most {0} expected")]
    TooManyTokens(u64),
    /// Too many workloads hold certificates.
    #[error("too many certificates are in use, at most {0} expected")]
    TooManyHolders(usize),
}

/// Every error of the database becomes one; callers tell them apart by their text only.
impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Access(error.into())
    }
}

impl Store {
    /// Opens the store in `directory`, making both where they are not there; nobody else may read them.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let prepare = |error| StoreError::Prepare(directory.to_owned(), error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(prepare)?;
        std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(prepare)?;
        let path = directory.join("control.redb");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(prepare)?;
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(prepare)?;
        let database = Database::create(&path).map_err(|error| StoreError::Open(path, error))?;
        let store = Self { database };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        match self.fact("format")? {
            None => self.set_fact("format", FORMAT.as_bytes()),
            Some(found) if found == FORMAT.as_bytes() => Ok(()),
            Some(found) => Err(StoreError::Format(String::from_utf8_lossy(&found).into_owned())),
        }
    }

    fn fact(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read()?;
        match transaction.open_table(FACTS) {
            Ok(table) => Ok(table.get(key)?.map(|value| value.value().to_vec())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn set_fact(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(FACTS)?.insert(key, value)?;
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_else_may_read_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let _store = Store::open(&state).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("control.redb")), 0o600);
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Store::open(directory.path())
            .unwrap()
            .set_fact("format", b"7")
            .unwrap();
        let error = Store::open(directory.path()).err().unwrap();
        assert_eq!(error.to_string(), "store has format \"7\", \"1\" expected");
    }

    #[test]
    fn two_control_planes_cannot_share_a_store() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path()).unwrap();
        assert!(matches!(Store::open(directory.path()), Err(StoreError::Open(..))));
    }
}
