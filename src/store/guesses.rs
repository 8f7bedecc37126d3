//! Codes that are given back. Counting an attempt and consuming a challenge are one step each, whoever races.

use super::engine::{Store, StoreError, on_pool};
use super::limits::{Limit, count_in};

/// A code that was given back.
#[derive(Clone, Copy, Debug)]
pub struct Guess<'a> {
    /// Whether it is the right one.
    pub is_right: bool,
    /// Of so many tries this is one.
    pub most: i64,
    /// Each guess is counted against these before it is looked at, a right one only so long: while one is exhausted none is looked at.
    pub guesses: &'a [Limit<'a>],
    /// A wrong one is counted against these. While one is exhausted a wrong code ends its challenge.
    pub wrong: &'a [Limit<'a>],
}

/// What a try did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// The right code: the challenge is consumed.
    Consumed,
    /// A wrong one was counted.
    Wrong {
        /// Wrong codes so far.
        attempts: i64,
        /// Of [`Guess::wrong`] this one was exhausted before, until then: it was the challenge's last try.
        over: Option<(usize, i64)>,
    },
    /// Expired, consumed, exhausted, or never there.
    Dead,
    /// Of [`Guess::guesses`] one is exhausted; nothing was counted.
    Limited {
        /// Which one.
        index: usize,
        /// Until when.
        ends_at_us: i64,
    },
}

/// Consumes a challenge that still lives.
const CONSUME: &str = "UPDATE challenges SET consumed_at_us = $3 \
     WHERE id_tag = $1 AND consumed_at_us IS NULL AND attempts < $2 AND expires_at_us > $3 RETURNING attempts";

/// Counts a wrong code of a challenge that still lives.
const COUNT: &str = "UPDATE challenges SET attempts = attempts + 1 \
     WHERE id_tag = $1 AND consumed_at_us IS NULL AND attempts < $2 AND expires_at_us > $3 RETURNING attempts";

/// The first of `limits` that was not counted against.
fn missing(limits: &[Limit<'_>], counted: &[Vec<u8>]) -> Option<usize> {
    limits
        .iter()
        .position(|limit| !counted.iter().any(|key| key == limit.key))
}

impl Store {
    /// Consumes the challenge when the code is right, whatever wrong ones were given elsewhere; else counts it here and against
    /// [`Guess::wrong`]. All or nothing, whoever races.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing was counted and nothing consumed.
    pub async fn try_code(&self, id_tag: &[u8], guess: &Guess<'_>, now_us: i64) -> Result<Try, StoreError> {
        if let Some((index, ends_at_us)) = self.exhausted(guess.guesses, now_us).await? {
            return Ok(Try::Limited { index, ends_at_us });
        }
        // Counted first and compared later: of racers no more are looked at than there may be.
        let (attempts, counted) = on_pool!(self, |pool| {
            let mut transaction = pool.begin().await?;
            let row: Option<(i64,)> = sqlx::query_as(if guess.is_right { CONSUME } else { COUNT })
                .bind(id_tag)
                .bind(guess.most)
                .bind(now_us)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some((attempts,)) = row else {
                return Ok(Try::Dead);
            };
            if !guess.guesses.is_empty() {
                let counted = count_in!(&mut *transaction, guess.guesses, now_us);
                if let Some(index) = missing(guess.guesses, &counted) {
                    transaction.rollback().await?;
                    return Ok(Try::Limited {
                        index,
                        ends_at_us: now_us.saturating_add(guess.guesses[index].window_us),
                    });
                }
            }
            if guess.is_right {
                for limit in guess.guesses {
                    sqlx::query("UPDATE limits SET count = count - 1 WHERE key = $1")
                        .bind(limit.key)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
                return Ok(Try::Consumed);
            }
            let mut counted = Vec::new();
            if !guess.wrong.is_empty() {
                counted = count_in!(&mut *transaction, guess.wrong, now_us);
            }
            if missing(guess.wrong, &counted).is_some() {
                sqlx::query("UPDATE challenges SET attempts = $2 WHERE id_tag = $1")
                    .bind(id_tag)
                    .bind(guess.most)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            (attempts, counted)
        });
        let Some(index) = missing(guess.wrong, &counted) else {
            return Ok(Try::Wrong { attempts, over: None });
        };
        let over = self.exhausted(guess.wrong, now_us).await?;
        Ok(Try::Wrong {
            attempts: guess.most,
            over: over.or(Some((index, now_us))),
        })
    }
}
