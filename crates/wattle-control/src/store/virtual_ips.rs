//! Virtual addresses at rest.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use wattle_compile::Name;

use super::{Store, StoreError};

/// From `namespace/name` to the address.
const ADDRESSES: TableDefinition<'_, &str, u32> = TableDefinition::new("virtual_ips");

impl Store {
    /// Every address given.
    pub(crate) fn virtual_ips(&self) -> Result<BTreeMap<Name, Ipv4Addr>, StoreError> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(ADDRESSES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.into()),
        };
        let mut assigned = BTreeMap::new();
        for entry in table.iter()? {
            let (name, address) = entry?;
            let (namespace, name) = name
                .value()
                .split_once('/')
                .ok_or(StoreError::Damaged("virtual address"))?;
            assigned.insert((namespace.into(), name.into()), Ipv4Addr::from(address.value()));
        }
        Ok(assigned)
    }

    /// Keeps exactly these.
    pub(crate) fn keep_virtual_ips(&self, assigned: &BTreeMap<Name, Ipv4Addr>) -> Result<(), StoreError> {
        let before = self.virtual_ips()?;
        if before == *assigned {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ADDRESSES)?;
            for name in before.keys().filter(|name| !assigned.contains_key(*name)) {
                table.remove(format!("{}/{}", name.0, name.1).as_str())?;
            }
            for (name, address) in assigned
                .iter()
                .filter(|(name, address)| before.get(*name) != Some(*address))
            {
                table.insert(format!("{}/{}", name.0, name.1).as_str(), address.to_bits())?;
            }
        }
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_kept_exactly() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let name = |name: &str| -> Name { ("default".into(), name.into()) };
        let mut assigned = BTreeMap::from([
            (name("a"), Ipv4Addr::new(10, 96, 0, 1)),
            (name("b"), Ipv4Addr::new(10, 96, 0, 2)),
        ]);
        store.keep_virtual_ips(&assigned).unwrap();
        assigned.remove(&name("a"));
        store.keep_virtual_ips(&assigned).unwrap();
        drop(store);
        assert_eq!(
            Store::open(directory.path()).unwrap().virtual_ips().unwrap(),
            assigned
        );
    }
}
