//! Join tokens at rest, by their hash; each is good for one certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{ReadableTableMetadata, TableDefinition, WriteTransaction};
use wattle_identity::{JoinToken, SpiffeId, TokenError, TokenHash, TokenRecord};

use super::{Store, StoreError};

/// From the hash to `EXPIRY-SECONDS SPIFFE-NAME`.
const TOKENS: TableDefinition<'_, &str, &str> = TableDefinition::new("tokens");
/// Most tokens waiting for their use.
const MAX_TOKENS: u64 = 100_000;
/// From so many waiting tokens on, expired ones are looked for when one is added.
const SWEEP_FROM: u64 = 1_000;

/// Why a token was not redeemed; it is still good, unless it never was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedeemError<E: std::error::Error + 'static> {
    /// Unknown, used before, or expired.
    #[error(transparent)]
    Token(TokenError),
    /// What it was to be used for failed.
    #[error(transparent)]
    Use(E),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl Store {
    /// Keeps a token's record until it is redeemed or expires.
    pub(crate) fn add_token(&self, record: &TokenRecord, now: SystemTime) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TOKENS)?;
            if table.len()? >= SWEEP_FROM {
                let now = unix_secs(now);
                table.retain(|_, value| parse(value).is_some_and(|(expires, _)| expires >= now))?;
            }
            if table.len()? >= MAX_TOKENS {
                return Err(StoreError::TooManyTokens(MAX_TOKENS));
            }
            let value = format!("{} {}", unix_secs(record.expires_at), record.id.as_str());
            table.insert(record.hash.to_string().as_str(), value.as_str())?;
        }
        Ok(transaction.commit()?)
    }

    /// Verifies a token and uses it; removed only when the use succeeds, and before anyone hears of its outcome.
    pub(crate) fn redeem<T, E: std::error::Error>(
        &self,
        token: &JoinToken,
        now: SystemTime,
        using: impl FnOnce(&SpiffeId) -> Result<T, E>,
    ) -> Result<T, RedeemError<E>> {
        let transaction = self
            .database
            .begin_write()
            .map_err(|error| RedeemError::Store(error.into()))?;
        let record = take(&transaction, token.hash()).map_err(RedeemError::Store)?;
        let record = record.ok_or(RedeemError::Token(TokenError::Unknown))?;
        let id = record.verify(token, now).map_err(RedeemError::Token)?;
        let made = using(id).map_err(RedeemError::Use)?;
        transaction
            .commit()
            .map_err(|error| RedeemError::Store(error.into()))?;
        Ok(made)
    }
}

fn take(transaction: &WriteTransaction, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
    let mut table = transaction.open_table(TOKENS)?;
    let Some(value) = table.remove(hash.to_string().as_str())? else {
        return Ok(None);
    };
    let (expires, id) = parse(value.value()).ok_or(StoreError::Damaged("join token"))?;
    Ok(Some(TokenRecord {
        hash,
        id,
        expires_at: UNIX_EPOCH + Duration::from_secs(expires),
    }))
}

fn parse(value: &str) -> Option<(u64, SpiffeId)> {
    let (expires, id) = value.split_once(' ')?;
    Some((expires.parse().ok()?, id.parse().ok()?))
}

fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(token: &JoinToken, expires_at: SystemTime) -> TokenRecord {
        TokenRecord {
            hash: token.hash(),
            id: "spiffe://td/ns/a/sa/b".parse().unwrap(),
            expires_at,
        }
    }

    fn fine(id: &SpiffeId) -> Result<String, std::io::Error> {
        Ok(id.to_string())
    }

    #[test]
    fn a_token_is_good_once_also_across_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let token = JoinToken::generate().unwrap();
        let now = SystemTime::now();
        let store = Store::open(directory.path()).unwrap();
        store
            .add_token(&record(&token, now + Duration::from_secs(60)), now)
            .unwrap();
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.redeem(&token, now, fine).unwrap(), "spiffe://td/ns/a/sa/b");
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert!(matches!(
            store.redeem(&token, now, fine),
            Err(RedeemError::Token(TokenError::Unknown))
        ));
    }

    #[test]
    fn a_failed_use_leaves_the_token_good_and_an_expired_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let token = JoinToken::generate().unwrap();
        let now = SystemTime::now();
        store
            .add_token(&record(&token, now + Duration::from_secs(60)), now)
            .unwrap();
        let failed = store.redeem(&token, now, |_| Err::<(), _>(std::io::Error::other("no")));
        assert!(matches!(failed, Err(RedeemError::Use(_))));
        let late = store.redeem(&token, now + Duration::from_secs(62), fine);
        assert!(matches!(
            late,
            Err(RedeemError::Token(TokenError::Expired { .. }))
        ));
        assert!(store.redeem(&token, now, fine).is_ok());
    }
}
