//! Carrying an order out: claimed once, sent once.

use std::sync::Arc;
use std::time::Duration;

use super::order::{Kept, Order, What};
use super::{Caller, LEASE_US, Operation, Partner, PartnerError, State};
use crate::clock::Deadline;
use crate::keys::Purpose;
use crate::model::{AccountGroup, AccountId, Money, OutsideCheck, Phone};
use crate::probonus::{Effect, UpstreamError};
use crate::store::{OperationRow, Signal, account_subject};

/// A call of which nothing left is tried again after this long, within the request's time.
const RETRY: Duration = Duration::from_millis(300);

/// A day's sum is kept a little longer than the day.
const TWO_DAYS_US: i64 = 2 * 86_400_000_000;

impl Partner {
    /// Carries an order out, once however often and wherever it is asked for. Goes on when the partner's connection breaks.
    ///
    /// # Errors
    /// See [`PartnerError`].
    pub async fn operate(
        self: &Arc<Self>,
        caller: &Caller,
        order: Order,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let (room, name) = (self.clone(), caller.name.clone());
        let kind = order.kind();
        let work = async move { room.operate_now(&name, &order, deadline).await };
        let span = tracing::Span::current();
        let task = self.tasks.spawn(tracing::Instrument::instrument(work, span));
        let outcome = task.await.unwrap_or(Err(PartnerError::Internal));
        let became = match &outcome {
            Ok(operation) => state_word(operation.state),
            Err(PartnerError::Rejected { .. }) => "rejected",
            Err(_) => "not_done",
        };
        tracing::info!(target: "audit", partner = caller.name.as_str(), event = kind, outcome = became);
        metrics::counter!("cabinet_partner_calls_total", "kind" => kind, "outcome" => became).increment(1);
        outcome
    }

    async fn operate_now(&self, partner: &str, order: &Order, deadline: Deadline) -> Result<Operation, PartnerError> {
        let kept = order.kept();
        let canonical = serde_json::to_vec(&kept).map_err(|_| PartnerError::Internal)?;
        let now_us = self.clock.now_us();
        let key_tag = self.key_tag(partner, order);
        let id = match order {
            Order::Check(check) => check.check_guid.to_string(),
            Order::Refill(_) => self.entropy.uuid().to_string(),
        };
        let row = OperationRow {
            sealed: Some(self.keys.seal(Purpose::Operation, &key_tag, &canonical)),
            fingerprint: self.fingerprint(partner, &canonical),
            key_tag,
            id,
            kind: order.kind().to_owned(),
            partner: partner.to_owned(),
            state: "pending".to_owned(),
            attempts: 0,
            owner: self.entropy.bytes::<16>().to_vec(),
            lease_until_us: now_us + LEASE_US,
            created_at_us: now_us,
            sent_at_us: 0,
            changed_at_us: now_us,
        };
        if self.store.claim_operation(&row).await? {
            return self.carry_out(row, kept, deadline).await;
        }
        let known = self
            .store
            .operation(&row.key_tag)
            .await?
            .ok_or(PartnerError::InProgress)?;
        if !self.same_order(&known, partner, &canonical) {
            return Err(match order {
                Order::Check(_) => PartnerError::CheckConflict,
                Order::Refill(_) => PartnerError::IdempotencyMismatch,
            });
        }
        match known.state.as_str() {
            "registered" | "unknown" => Ok(operation(&known, true)),
            "rejected" => Err(PartnerError::Rejected { replayed: true }),
            "pending"
                if self
                    .store
                    .take_over_operation(&known.key_tag, &row.owner, now_us + LEASE_US, now_us)
                    .await? =>
            {
                let row = OperationRow {
                    owner: row.owner,
                    ..known
                };
                self.carry_out(row, kept, deadline).await
            }
            "sent" if known.lease_until_us <= now_us => {
                self.wake.notify_one();
                Ok(Operation {
                    state: State::Unknown,
                    ..operation(&known, true)
                })
            }
            _ => Err(PartnerError::InProgress),
        }
    }

    /// The owner carries the order out.
    async fn carry_out(&self, row: OperationRow, kept: Kept, deadline: Deadline) -> Result<Operation, PartnerError> {
        let beating = self.beat(&row);
        let done = tokio::select! {
            done = self.carry_out_owned(&row, kept, deadline) => done,
            () = beating => Err(PartnerError::Internal),
        };
        if let Err(error) = &done
            && !matches!(error, PartnerError::Rejected { .. } | PartnerError::InProgress)
        {
            // Nothing was sent for certain: the order may be given again.
            if let Err(error) = self.store.forget_operation(&row).await {
                tracing::warn!(%error, "an operation that was not sent could not be forgotten; its lease runs out");
            }
        }
        done
    }

    /// Says again and again that the owner lives; never ends.
    async fn beat(&self, row: &OperationRow) {
        let third = Duration::from_micros(LEASE_US.unsigned_abs() / 3);
        loop {
            tokio::time::sleep(third).await;
            let _ = self.store.operation_alive(row, self.clock.now_us() + LEASE_US).await;
        }
    }

    async fn carry_out_owned(
        &self,
        row: &OperationRow,
        mut kept: Kept,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let account = self.account_of(&kept, deadline).await?;
        kept.account = Some(account.as_str().to_owned());
        let day_key = self.take_from_day(&row.partner, &kept).await?;
        let sent = self.send_once(row, &account, &kept, deadline).await;
        let undone = match &sent {
            Ok(operation) => operation.state == State::Rejected,
            Err(_) => true,
        };
        if let (true, Some((key, sum))) = (undone, day_key) {
            let _ = self.store.return_sum(&key, sum.minor()).await;
        }
        sent
    }

    /// One recorded attempt. An error other than a rejection means that nothing left.
    pub(super) async fn send_once(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Result<Operation, PartnerError> {
        let plain = serde_json::to_vec(kept).map_err(|_| PartnerError::Internal)?;
        let sealed = self.keys.seal(Purpose::Operation, &row.key_tag, &plain);
        let now_us = self.clock.now_us();
        if !self
            .store
            .operation_sent(row, &sealed, now_us + LEASE_US, now_us)
            .await?
        {
            return Err(PartnerError::InProgress);
        }
        let called = self.call(row, account, kept, deadline).await;
        let now_us = self.clock.now_us();
        let (state, word, settle_at_us) = match called {
            Ok(()) => (State::Registered, "registered", 0),
            Err(error) => match error.effect() {
                Effect::None => return Err(error.into()),
                Effect::Rejected => (State::Rejected, "rejected", 0),
                Effect::Unknown => (State::Unknown, "unknown", now_us),
            },
        };
        // When this cannot be kept, the row stays as sent, and settling finds out again what is known here.
        if let Err(error) = self.store.operation_became(row, word, settle_at_us, now_us).await {
            tracing::warn!(%error, "an operation's outcome could not be kept; it will be settled");
        }
        if state == State::Registered {
            self.show(account, kept).await;
        }
        self.wake.notify_one();
        if state == State::Rejected {
            return Err(PartnerError::Rejected { replayed: false });
        }
        Ok(Operation {
            state,
            changed_at_us: now_us,
            attempts: row.attempts + 1,
            ..operation(row, false)
        })
    }

    /// The call itself; repeated only while it is certain that nothing left.
    async fn call(
        &self,
        row: &OperationRow,
        account: &AccountId,
        kept: &Kept,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        loop {
            let called = match &kept.what {
                What::Check { .. } => {
                    let check = outside_check(account, &kept.what).ok_or(UpstreamError::Invalid)?;
                    self.ledger.register_check(&check, deadline).await
                }
                What::Refill { amount, comment } => {
                    let comment = marked(comment.as_deref(), &self.mark(&row.id));
                    self.ledger.refill(account, *amount, &comment, deadline).await
                }
            };
            match called {
                Err(error) if error.certainly_not_sent() && deadline.remaining() > RETRY * 2 => {
                    let wait = match error {
                        UpstreamError::Unavailable { retry_after, .. } => retry_after.unwrap_or(RETRY),
                        _ => RETRY,
                    };
                    if deadline.remaining() <= wait + RETRY {
                        return called;
                    }
                    tokio::time::sleep(wait.max(RETRY)).await;
                }
                called => return called,
            }
        }
    }

    /// The guest sees it at once, on every replica.
    pub(super) async fn show(&self, account: &AccountId, kept: &Kept) {
        let now_us = self.clock.now_us();
        let subject = account_subject(&self.keys, account);
        let mut shown = self.store.outdate_views(&subject, now_us).await;
        let mut told = self.store.tell(Signal::AccountChanged(account.clone())).await;
        if let Some(phone) = kept.phone.as_deref().and_then(Phone::from_e164) {
            let guest = self.guest_key(&phone);
            shown = shown.and(self.store.outdate_views(&guest.0, now_us).await);
            told = told.and(self.store.tell(Signal::GuestChanged(guest)).await);
        }
        if shown.is_err() || told.is_err() {
            tracing::warn!(
                "guests' views could not be outdated everywhere; they are at most as old as their freshness"
            );
        }
    }

    async fn account_of(&self, kept: &Kept, deadline: Deadline) -> Result<AccountId, PartnerError> {
        if let Some(account) = &kept.account {
            return AccountId::parse(account).map_err(|_| PartnerError::Internal);
        }
        let phone = kept
            .phone
            .as_deref()
            .and_then(Phone::from_e164)
            .ok_or(PartnerError::Internal)?;
        let account = self.ledger.find_by_phone(&phone, deadline).await?;
        account.map(|account| account.id).ok_or(PartnerError::AccountAbsent)
    }

    /// Takes a refill from the partner's sum of the day.
    async fn take_from_day(&self, partner: &str, kept: &Kept) -> Result<Option<([u8; 32], Money)>, PartnerError> {
        let cap = self.partners.get(partner).and_then(|config| config.max_daily_refill);
        let (What::Refill { amount, .. }, Some(cap)) = (&kept.what, cap) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let zoned = now.to_zoned_datetime(self.zone.clone());
        let day = zoned.date().to_string();
        let key = self
            .keys
            .mac(Purpose::Limit, &[b"partner_day", partner.as_bytes(), day.as_bytes()]);
        let taken = self
            .store
            .take_sum(&key, amount.minor(), cap.minor(), TWO_DAYS_US, now.as_microsecond())
            .await?;
        if taken {
            return Ok(Some((key, *amount)));
        }
        let seconds = i64::from(zoned.hour()) * 3600 + i64::from(zoned.minute()) * 60;
        Err(PartnerError::TooMany {
            retry_after: Duration::from_secs(u64::try_from(86_400 - seconds).unwrap_or(3600)),
        })
    }

    /// How an operation of the caller's stands.
    ///
    /// # Errors
    /// See [`PartnerError`]; another partner's operation is [`PartnerError::NotFound`].
    pub async fn status(&self, caller: &Caller, kind: &str, id: &str) -> Result<Operation, PartnerError> {
        let row = self.store.operation_by_id(kind, id).await?;
        let row = row
            .filter(|row| row.partner == caller.name)
            .ok_or(PartnerError::NotFound)?;
        Ok(operation(&row, false))
    }

    /// The groups of accounts.
    ///
    /// # Errors
    /// When ProBonus cannot be asked.
    pub async fn account_groups(&self, deadline: Deadline) -> Result<Vec<AccountGroup>, PartnerError> {
        Ok(self.ledger.account_groups(deadline).await?)
    }

    /// A check's GUID is unique for all partners, as it is for ProBonus; an idempotency key for its partner.
    fn key_tag(&self, partner: &str, order: &Order) -> Vec<u8> {
        let tag = match order {
            Order::Check(order) => self
                .keys
                .mac(Purpose::Operation, &[b"check", order.check_guid.as_bytes()]),
            Order::Refill(order) => self.keys.mac(
                Purpose::Operation,
                &[b"refill", partner.as_bytes(), order.key.as_bytes()],
            ),
        };
        tag.to_vec()
    }

    fn fingerprint(&self, partner: &str, canonical: &[u8]) -> Vec<u8> {
        let tag = self
            .keys
            .mac(Purpose::Operation, &[b"order", partner.as_bytes(), canonical]);
        tag.to_vec()
    }

    fn same_order(&self, row: &OperationRow, partner: &str, canonical: &[u8]) -> bool {
        let parts: &[&[u8]] = &[b"order", partner.as_bytes(), canonical];
        self.keys.verify(Purpose::Operation, parts, &row.fingerprint)
    }

    /// The short mark by which a refill is found again.
    pub(super) fn mark(&self, id: &str) -> String {
        let tag = self.keys.mac(Purpose::Operation, &[b"mark", id.as_bytes()]);
        format!("#{}", &crate::keys::hex(&tag)[..10])
    }
}

/// A comment with its mark.
fn marked(comment: Option<&str>, mark: &str) -> String {
    match comment.filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{comment} {mark}"),
        None => mark.to_owned(),
    }
}

fn outside_check(account: &AccountId, what: &What) -> Option<OutsideCheck> {
    match what.clone() {
        What::Check {
            guid,
            restaurant,
            unit,
            number,
            spent,
            discount,
            accrued,
            money,
            content,
        } => Some(OutsideCheck {
            check_guid: guid,
            account_id: account.clone(),
            restaurant_code: restaurant,
            unit_code: unit,
            external_number: number,
            bonus_spent: spent,
            discount,
            bonus_accrued: accrued,
            money_spent: money,
            content,
        }),
        What::Refill { .. } => None,
    }
}

/// A row as its partner sees it.
fn operation(row: &OperationRow, replayed: bool) -> Operation {
    Operation {
        id: row.id.clone(),
        state: match row.state.as_str() {
            "registered" => State::Registered,
            "rejected" => State::Rejected,
            "unknown" => State::Unknown,
            _ => State::Pending,
        },
        attempts: row.attempts,
        created_at_us: row.created_at_us,
        changed_at_us: row.changed_at_us,
        replayed,
    }
}

/// The state's word.
pub(super) fn state_word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Registered => "registered",
        State::Rejected => "rejected",
        State::Unknown => "unknown",
    }
}
