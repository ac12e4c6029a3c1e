//! Certificates of workloads at rest: the newest of each holder, until it ends.

use redb::{ReadableTable, TableDefinition};
use wattle_identity::SpiffeId;

use super::{Store, StoreError};

/// From the holder to `NOT-AFTER ISSUED ISSUER BUNDLE SERIAL PREVIOUS NAME`.
const LEAVES: TableDefinition<'_, &str, &str> = TableDefinition::new("leaves");
/// Since when every certificate that is given is written down, seconds since 1970.
const COMPLETE_SINCE: &str = "leaves/since";

/// The newest certificate of a holder: a workload's proxy from its join token on, through all renewals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Serial number of the holder's first certificate.
    pub(crate) holder: String,
    /// Whose it is.
    pub(crate) id: SpiffeId,
    /// Its serial number, hexadecimal.
    pub(crate) serial: String,
    /// The one before, which the holder may still show when the answer with the newest was lost; `-` is none.
    pub(crate) previous: String,
    /// Who signed it.
    pub(crate) issuer: String,
    /// The roots that came with it.
    pub(crate) bundle: String,
    /// Seconds since 1970.
    pub(crate) issued_secs: u64,
    /// Seconds since 1970.
    pub(crate) not_after_secs: u64,
}

impl Leaf {
    fn to_value(&self) -> String {
        let Self {
            id,
            serial,
            previous,
            issuer,
            bundle,
            issued_secs,
            not_after_secs,
            ..
        } = self;
        format!("{not_after_secs} {issued_secs} {issuer} {bundle} {serial} {previous} {id}")
    }

    fn read(holder: &str, value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let mut word = || words.next();
        Some(Self {
            holder: holder.to_owned(),
            not_after_secs: word()?.parse().ok()?,
            issued_secs: word()?.parse().ok()?,
            issuer: word()?.to_owned(),
            bundle: word()?.to_owned(),
            serial: word()?.to_owned(),
            previous: word()?.to_owned(),
            id: word()?.parse().ok()?,
        })
    }
}

impl Store {
    /// Everything that was written down.
    pub(crate) fn leaves(&self) -> Result<Vec<Leaf>, StoreError> {
        let transaction = self.database.begin_write()?;
        let mut found = Vec::new();
        {
            let table = transaction.open_table(LEAVES)?;
            for row in table.iter()? {
                let (holder, value) = row?;
                let leaf = Leaf::read(holder.value(), value.value());
                found.push(leaf.ok_or(StoreError::Damaged("certificate"))?);
            }
        }
        transaction.commit()?;
        Ok(found)
    }

    /// Writes one down, in place of the holder's last, and forgets those of `ended` holders.
    pub(crate) fn keep_leaf(&self, leaf: &Leaf, ended: &[String]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(LEAVES)?;
            for holder in ended {
                table.remove(holder.as_str())?;
            }
            table.insert(leaf.holder.as_str(), leaf.to_value().as_str())?;
        }
        Ok(transaction.commit()?)
    }

    /// Since when the book is complete; `or` is written down when it never was.
    pub(crate) fn leaves_since(&self, or: u64) -> Result<u64, StoreError> {
        if let Some(found) = self.fact(COMPLETE_SINCE)? {
            let text = String::from_utf8(found).map_err(|_| StoreError::Damaged("time"))?;
            return text.parse().map_err(|_| StoreError::Damaged("time"));
        }
        self.set_fact(COMPLETE_SINCE, or.to_string().as_bytes())?;
        Ok(or)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_certificate_of_a_holder_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let leaf = |serial: &str, previous: &str| Leaf {
            holder: "41".to_owned(),
            id: "spiffe://td/ns/a/sa/b".parse().unwrap(),
            serial: serial.to_owned(),
            previous: previous.to_owned(),
            issuer: "i".to_owned(),
            bundle: "b".to_owned(),
            issued_secs: 1,
            not_after_secs: 2,
        };
        let store = Store::open(directory.path()).unwrap();
        store.keep_leaf(&leaf("41", "-"), &[]).unwrap();
        store.keep_leaf(&leaf("42", "41"), &["9".to_owned()]).unwrap();
        assert_eq!(store.leaves_since(7).unwrap(), 7);
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.leaves().unwrap(), [leaf("42", "41")]);
        assert_eq!(store.leaves_since(9).unwrap(), 7);
    }
}
