//! The ledger key's home: made once over all replicas, wrapped anew at a rotation, never replaced.

use super::engine::{Store, StoreError, on_pool};
use crate::entropy::Entropy;
use crate::keys::{Keys, LedgerKey, Secrets, Wrapped};

/// How the ledger key was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFound {
    /// It was there.
    Unwrapped,
    /// The store had none: it was made.
    Made,
    /// The store had none and is older than that: it was made of the secret that its rows are keyed by.
    Adopted,
    /// None of those that are there could be unwrapped: another one was made, and what was keyed by them is not recognised any more.
    Lost,
}

/// A wrap as it is kept.
struct WrapRow {
    generation: i64,
    number: i64,
    secret_id: Vec<u8>,
    /// Empty: by that secret it is opened no more.
    sealed: Vec<u8>,
}

/// A ledger key that could be unwrapped.
struct Unwrapped {
    generation: i64,
    key: LedgerKey,
}

/// Of replicas that begin at once one makes the key, and the others find it when they look again; more looks are needed only when each of
/// them knows another secret.
const LOOKS: usize = 5;

impl Store {
    /// The keys of `secrets` and of the ledger key, which is made when there is none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn load_keys(
        &self,
        secrets: Secrets,
        now_us: i64,
        entropy: &Entropy,
    ) -> Result<(Keys, LedgerFound), StoreError> {
        let mut found = LedgerFound::Unwrapped;
        for _ in 0..LOOKS {
            let rows = self.ledger_wraps().await?;
            let unwrapped = unwrap(&secrets, &rows);
            if !unwrapped.is_empty() {
                for known in &unwrapped {
                    self.wrap_anew(&secrets, known, &rows, now_us, entropy).await?;
                }
                let keys = keys_of(secrets, &unwrapped, entropy).ok_or(StoreError::Corrupt)?;
                return Ok((keys, found));
            }
            let last = rows.iter().map(|row| row.generation).max();
            let (key, how) = if last.is_some() {
                (LedgerKey::random(entropy), LedgerFound::Lost)
            } else if self.has_keyed_rows().await? {
                (LedgerKey::adopting(&secrets, entropy), LedgerFound::Adopted)
            } else {
                (LedgerKey::random(entropy), LedgerFound::Made)
            };
            let generation = last.map_or(1, |last| last + 1);
            let wraps = secrets.wrap(&key, generation, entropy);
            if self.add_ledger_key(generation, &wraps, now_us).await? {
                found = how;
            }
        }
        Err(StoreError::Corrupt)
    }

    /// The keys as [`Store::load_keys`] would give them, without making or writing anything: a key that would be made is none that
    /// outlives this.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn read_keys(&self, secrets: Secrets, entropy: &Entropy) -> Result<(Keys, LedgerFound), StoreError> {
        let rows = self.ledger_wraps().await?;
        let found = match rows.len() {
            _ if !unwrap(&secrets, &rows).is_empty() => LedgerFound::Unwrapped,
            0 if self.has_keyed_rows().await? => LedgerFound::Adopted,
            0 => LedgerFound::Made,
            _ => LedgerFound::Lost,
        };
        let mut unwrapped = unwrap(&secrets, &rows);
        if unwrapped.is_empty() {
            let (generation, key) = (0, LedgerKey::adopting(&secrets, entropy));
            unwrapped.push(Unwrapped { generation, key });
        }
        let keys = keys_of(secrets, &unwrapped, entropy).ok_or(StoreError::Corrupt)?;
        Ok((keys, found))
    }

    async fn ledger_wraps(&self) -> Result<Vec<WrapRow>, StoreError> {
        let rows: Vec<(i64, i64, Vec<u8>, Vec<u8>)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT generation, number, secret_id, sealed FROM ledger_wraps ORDER BY generation DESC, number DESC",
            )
            .fetch_all(pool)
            .await?
        });
        let row = |(generation, number, secret_id, sealed)| WrapRow {
            generation,
            number,
            secret_id,
            sealed,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Keeps a new generation with its wraps; `false` when another replica was quicker.
    async fn add_ledger_key(&self, generation: i64, wraps: &[Wrapped], now_us: i64) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let ours = sqlx::query(
                "INSERT INTO ledger_keys (generation, created_at_us) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(generation)
            .bind(now_us)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if ours == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            for wrap in wraps {
                sqlx::query(ADD_WRAP)
                    .bind(generation)
                    .bind(&wrap.secret_id)
                    .bind(1_i64)
                    .bind(&wrap.sealed)
                    .bind(now_us)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Wraps a key by the secrets that it is not wrapped by yet. Under the present secret it must always be found; under the previous one
    /// it is wrapped once, for that may be the next one already.
    async fn wrap_anew(
        &self,
        secrets: &Secrets,
        known: &Unwrapped,
        rows: &[WrapRow],
        now_us: i64,
        entropy: &Entropy,
    ) -> Result<(), StoreError> {
        let kept = |id: &[u8]| {
            rows.iter()
                .find(|row| row.generation == known.generation && row.secret_id == id)
        };
        let last = rows.iter().filter(|row| row.generation == known.generation);
        let number = last.map(|row| row.number).max().unwrap_or(0) + 1;
        let wraps = secrets.wrap(&known.key, known.generation, entropy);
        for (index, wrap) in wraps.iter().enumerate() {
            let sql = match kept(&wrap.secret_id) {
                Some(row) if index > 0 || !row.sealed.is_empty() => continue,
                Some(_) => RENEW_WRAP,
                None => ADD_WRAP,
            };
            on_pool!(self, |pool| {
                sqlx::query(sql)
                    .bind(known.generation)
                    .bind(&wrap.secret_id)
                    .bind(number)
                    .bind(&wrap.sealed)
                    .bind(now_us)
                    .execute(pool)
                    .await?;
            });
        }
        if let [only] = wraps.as_slice() {
            self.empty_older_wraps(known.generation, &only.secret_id).await?;
        }
        Ok(())
    }

    /// The rotation is over: what was wrapped by earlier secrets goes, so that whoever knows one of them opens nothing by it. What a later
    /// secret wrapped stays: this may be a replica that was restarted before it was told of the rotation.
    async fn empty_older_wraps(&self, generation: i64, secret_id: &[u8]) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(
                "UPDATE ledger_wraps SET sealed = $3 WHERE generation = $1 AND number < \
                 (SELECT number FROM ledger_wraps WHERE generation = $1 AND secret_id = $2)",
            )
            .bind(generation)
            .bind(secret_id)
            .bind(Vec::<u8>::new())
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Whether there is anything that a version without a ledger key has keyed by its secret.
    async fn has_keyed_rows(&self) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = on_pool!(self, |pool| {
            sqlx::query_as(
                "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM sessions) OR EXISTS (SELECT 1 FROM challenges) \
                 OR EXISTS (SELECT 1 FROM operations) OR EXISTS (SELECT 1 FROM consents) OR EXISTS (SELECT 1 FROM limits) \
                 OR EXISTS (SELECT 1 FROM views) OR EXISTS (SELECT 1 FROM generations) OR EXISTS (SELECT 1 FROM registrations)",
            )
            .fetch_optional(pool)
            .await?
        });
        Ok(found.is_some())
    }
}

const ADD_WRAP: &str = "INSERT INTO ledger_wraps (generation, secret_id, number, sealed, created_at_us) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

const RENEW_WRAP: &str = "UPDATE ledger_wraps SET number = $3, sealed = $4, created_at_us = $5 \
     WHERE generation = $1 AND secret_id = $2";

/// The generations that can be unwrapped, newest first: whichever of the secrets opens it, all replicas use the same one.
fn unwrap(secrets: &Secrets, rows: &[WrapRow]) -> Vec<Unwrapped> {
    let mut found: Vec<Unwrapped> = Vec::new();
    for row in rows {
        if found.iter().all(|known| known.generation != row.generation)
            && let Some(key) = secrets.unwrap(row.generation, &row.sealed)
        {
            let generation = row.generation;
            found.push(Unwrapped { generation, key });
        }
    }
    found
}

fn keys_of(secrets: Secrets, unwrapped: &[Unwrapped], entropy: &Entropy) -> Option<Keys> {
    let (active, former) = unwrapped.split_first()?;
    let former: Vec<LedgerKey> = former.iter().map(|former| former.key.clone()).collect();
    Some(Keys::new(secrets, &active.key, &former, entropy.clone()))
}
