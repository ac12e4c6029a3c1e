//! Fetched keys at rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::{Store, StoreError};
use crate::keys::Kept;

/// From the address to when it was fetched, in seconds since 1970, and the text.
const KEY_SETS: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("key_sets");

impl Store {
    /// Every key set kept.
    pub(crate) fn key_sets(&self) -> Result<BTreeMap<Arc<str>, Kept>, StoreError> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(KEY_SETS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.into()),
        };
        let mut kept = BTreeMap::new();
        for entry in table.iter()? {
            let (address, value) = entry?;
            let (fetched, text) = value.value();
            kept.insert(address.value().into(), (text.into(), fetched));
        }
        Ok(kept)
    }

    /// Keeps one; those that are not among the wanted ones go.
    pub(crate) fn keep_key_set(
        &self,
        address: &str,
        (text, fetched): &Kept,
        wanted: &[Arc<str>],
    ) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(KEY_SETS)?;
            table.retain(|known, _| wanted.iter().any(|wanted| **wanted == *known))?;
            table.insert(address, (*fetched, &**text))?;
        }
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_they_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert!(store.key_sets().unwrap().is_empty());
        let (a, b): (Arc<str>, Arc<str>) = ("https://a".into(), "https://b".into());
        store
            .keep_key_set(&a, &("1".into(), 1), std::slice::from_ref(&a))
            .unwrap();
        store
            .keep_key_set(&b, &("2".into(), 2), &[a.clone(), b.clone()])
            .unwrap();
        assert_eq!(store.key_sets().unwrap().len(), 2);
        store
            .keep_key_set(&b, &("3".into(), 3), std::slice::from_ref(&b))
            .unwrap();
        let kept: Vec<_> = store.key_sets().unwrap().into_iter().collect();
        assert_eq!(kept, [(b, ("3".into(), 3))]);
    }
}
