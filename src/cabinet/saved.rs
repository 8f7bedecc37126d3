//! Views kept sealed in the store: behind everybody's back, bounded, never waited for.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::Cabinet;
use crate::clock::micros;
use crate::keys::Tag;
use crate::keys::{Keys, Purpose};
use crate::model::{AccountBinding, Guest, GuestKey};
use crate::store::{Generation, Known, SharedStore, ViewRow};

/// Views waiting to be kept; more are dropped and counted.
const QUEUE: usize = 2048;

/// A longer view is not kept, in bytes: a very long history is asked for again.
const MAX_VIEW: usize = 512 * 1024;

/// A store that does not answer within this is done without: ProBonus may be quicker.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often old views are looked for, and how many go at once.
const BEAT: Duration = Duration::from_mins(5);
const BATCH: i64 = 1000;

/// A view to be kept.
struct Save {
    guest: GuestKey,
    account: Vec<u8>,
    view: String,
    plain: Vec<u8>,
    read: Read,
    generation: Generation,
}

/// When ProBonus was read.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "every moment says its unit")]
pub(super) struct Read {
    /// By the wall clock: what guests are told.
    pub as_of_us: i64,
    /// By the steady clock of this process.
    pub steady_us: i64,
    /// By the rows' time.
    row_us: i64,
}

/// Replicas share the rows' time to within this (µs).
const APART_US: i64 = 1_000_000;

/// The end of the queue.
pub(super) struct Saver {
    queue: Mutex<Option<mpsc::Sender<Save>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Saver {
    pub fn start(store: SharedStore, keys: Arc<Keys>) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Save>(QUEUE);
        let task = tokio::spawn(async move {
            while let Some(save) = receiver.recv().await {
                let row = ViewRow {
                    account: save.account,
                    sealed: keys.seal(Purpose::View, &bound_to(save.guest, &save.view), &save.plain),
                    as_of_us: save.read.as_of_us,
                    read_at_us: save.read.row_us,
                };
                let kept = store.keep_view(save.guest, &save.view, &row, save.generation).await;
                if kept.is_err() {
                    metrics::counter!("cabinet_views_not_kept_total", "why" => "store").increment(1);
                }
            }
        });
        Self {
            queue: Mutex::new(Some(sender)),
            task: Mutex::new(Some(task)),
        }
    }

    fn save(&self, save: Save) {
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if queue.as_ref().is_none_or(|queue| queue.try_send(save).is_err()) {
            metrics::counter!("cabinet_views_not_kept_total", "why" => "queue").increment(1);
        }
    }

    /// Keeps what waits and ends.
    pub async fn finish(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take(),
        );
        let task = self
            .task
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
    }
}

/// A sealed view opens for its guest and name only.
fn bound_to(guest: GuestKey, view: &str) -> Vec<u8> {
    let mut bound = guest.0.to_vec();
    bound.extend_from_slice(view.as_bytes());
    bound
}

impl Cabinet {
    /// ProBonus was read now.
    pub(super) fn read_now(&self) -> Read {
        let (row_us, steady_us) = self.clock.now_and_steady_us();
        Read {
            as_of_us: self.clock.now().as_microsecond(),
            steady_us,
            row_us,
        }
    }

    /// What the store knows of a guest, with the copy of one of their views; `None` when it does not say in time.
    pub(super) async fn known(&self, guest: &Guest, view: Option<&str>) -> Option<Known> {
        let account = match guest.account {
            AccountBinding::Account(account) => Some(account),
            AccountBinding::Unknown | AccountBinding::Absent => self.guests.account(&guest.key),
        };
        let asked = self.store.known(guest.key, account, view);
        tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
    }

    /// The copy of a view, with the moment ProBonus said it. One of a moment yet to come is as old as what is just not fresh any more. It is
    /// shown to sessions of its own account, and to one of which nothing is known yet: that is bound to what it is shown.
    pub(super) fn opened<K: DeserializeOwned>(
        &self,
        guest: &Guest,
        view: &str,
        known: &Known,
        fresh_us: i64,
    ) -> Option<(K, Read)> {
        let row = known.copy.as_ref()?;
        let account: Tag = row.account.as_slice().try_into().ok()?;
        if ![AccountBinding::Unknown, AccountBinding::Account(account)].contains(&guest.account) {
            return None;
        }
        let plain = self.keys.open(Purpose::View, &bound_to(guest.key, view), &row.sealed)?;
        let kept = serde_json::from_slice(&plain).ok()?;
        let (now_us, steady_us) = self.clock.now_and_steady_us();
        let age_us = match now_us.saturating_sub(row.read_at_us) {
            unknown if unknown < -APART_US => fresh_us,
            age_us => age_us.max(0),
        };
        let read = Read {
            as_of_us: row.as_of_us,
            steady_us: steady_us.saturating_sub(age_us),
            row_us: row.read_at_us,
        };
        Some((kept, read))
    }

    /// Leaves a view of `account` that was asked for under `generation` to be kept.
    pub(super) fn keep(
        &self,
        guest: &Guest,
        account: AccountBinding,
        view: &str,
        kept: &impl Serialize,
        read: Read,
        generation: Generation,
    ) {
        let AccountBinding::Account(account) = account else {
            return;
        };
        let Ok(plain) = serde_json::to_vec(kept) else { return };
        if plain.len() > MAX_VIEW {
            metrics::counter!("cabinet_views_not_kept_total", "why" => "size").increment(1);
            return;
        }
        self.saver.save(Save {
            guest: guest.key,
            account: account.to_vec(),
            view: view.to_owned(),
            plain,
            read,
            generation,
        });
    }
}

/// So long after it was settled a sign-up is remembered.
const SIGN_UP_KEPT: Duration = Duration::from_hours(24);

/// Removes views too old to be shown, and sign-ups settled long ago.
pub(super) async fn tidy(room: Arc<Cabinet>) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = room.stop.cancelled() => return,
        }
        let now_us = room.clock.now_us();
        let settled_before_us = now_us.saturating_sub(micros(SIGN_UP_KEPT));
        while room
            .store
            .prune_sign_ups(settled_before_us, BATCH)
            .await
            .is_ok_and(|removed| removed >= BATCH.unsigned_abs())
        {}
        let kept_for = micros(room.config.cache.stale_for.max(BEAT));
        let before_us = now_us.saturating_sub(kept_for);
        while room
            .store
            .prune_views(before_us, BATCH)
            .await
            .is_ok_and(|removed| removed >= BATCH.unsigned_abs())
        {}
        // A write is remembered for longer than anything read before it may be kept or shown.
        let before_us = now_us.saturating_sub(kept_for.saturating_mul(2));
        while room
            .store
            .prune_generations(before_us, BATCH)
            .await
            .is_ok_and(|removed| removed >= BATCH.unsigned_abs())
        {}
        while room
            .store
            .prune_edits(before_us, BATCH)
            .await
            .is_ok_and(|removed| removed >= BATCH.unsigned_abs())
        {}
    }
}
