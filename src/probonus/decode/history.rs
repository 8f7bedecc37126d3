//! A history of movements.
//!
//! A movement whose sum or id does not read makes the whole history nonsense: with a hole in it sums would not add up, and an order could seem
//! not to be booked. One without a moment, or `null`, is left out for the guest who looks at the others; whoever looks for an order is told
//! that something was left out.

use super::fields::{Context, Fields, id, optional_id};
use super::json::{Json, NONSENSE, Read};
use crate::model::{AccountId, Money, Transaction, TransactionKind};

/// Movements, newest first.
pub(in crate::probonus) struct Movements {
    pub entries: Vec<Transaction>,
    /// How many could not be told.
    pub left_out: usize,
}

/// Reads a history. `account` is whose it is: an entry that says it is another's makes the answer nonsense.
pub(in crate::probonus) fn read_history(answer: Json, account: &AccountId, context: Context) -> Read<Movements> {
    let mut read = Vec::new();
    let mut left_out = 0;
    // "If every sum is positive, the type decides": a history without a single sign has its signs in the types.
    let mut unsigned = true;
    for entry in answer.array()? {
        if entry.is_null() {
            context.odd.note("transactions");
            left_out += 1;
            continue;
        }
        let movement = read_movement(entry, account, context)?;
        unsigned &= movement.transaction.amount >= Money::ZERO;
        if movement.dated {
            read.push(movement);
        } else {
            context.odd.note("date");
            left_out += 1;
        }
    }
    let mut entries: Vec<Transaction> = read
        .into_iter()
        .map(|Movement { transaction, takes, .. }| Transaction {
            amount: if unsigned && takes {
                transaction.amount.negated()
            } else {
                transaction.amount
            },
            ..transaction
        })
        .collect();
    // Ids count up: of two movements at one moment the one with the longer, then greater id came later.
    let order = |entry: &Transaction| (entry.occurred_at, entry.id.as_str().len(), entry.id.clone());
    entries.sort_by_cached_key(|entry| std::cmp::Reverse(order(entry)));
    Ok(Movements { entries, left_out })
}

struct Movement {
    transaction: Transaction,
    /// Whether it tells its moment.
    dated: bool,
    /// Whether the type says that bonuses went away.
    takes: bool,
}

fn read_movement(entry: Json, account: &AccountId, context: Context) -> Read<Movement> {
    let fields = Fields::of(entry, context)?;
    let owner: Option<AccountId> = fields.strict(&["accountId"], id)?;
    if owner.is_some_and(|owner| owner != *account) {
        return Err(NONSENSE);
    }
    let (kind, takes) = kind_of(&fields.text(&["type", "operation"]).unwrap_or_default());
    let moment = fields.moment(&["date", "createdAt"]);
    Ok(Movement {
        takes,
        dated: moment.is_some(),
        transaction: Transaction {
            id: fields.id(&["id"])?,
            occurred_at: moment.unwrap_or_default(),
            kind,
            amount: fields.required_money(&["sum", "amount"])?,
            balance_after: fields.money(&["balanceAfter"])?,
            // One that nobody could ask for is as good as none: an order is not proven absent by it.
            check_id: fields.tolerant(&["checkId"], optional_id).flatten(),
            restaurant: fields.restaurant(),
            comment: fields.text(&["comment"]),
        },
    })
}

fn kind_of(word: &str) -> (TransactionKind, bool) {
    match word.trim().to_lowercase().as_str() {
        "accrual" | "начисление" => (TransactionKind::Accrual, false),
        "spend" | "списание" => (TransactionKind::Spend, true),
        "burn" | "сгорание" => (TransactionKind::Burn, true),
        "refill" | "пополнение" => (TransactionKind::Refill, false),
        "refund" | "возврат" => (TransactionKind::Refund, false),
        // Corrections, and words nobody told us: the sign says what they did.
        _ => (TransactionKind::Adjustment, false),
    }
}
