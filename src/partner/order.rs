//! The order that a partner gave: one type from the request to the disk and to ProBonus.

use serde::{Deserialize, Serialize};

use super::PartnerError;
use crate::model::{AccountId, Money, OperationKind, OutsideCheck, Phone, Refill};

/// Whose account an order is about. `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub enum Whose {
    /// By id.
    Account(AccountId),
    /// By phone; looked up when the order is carried out.
    Phone(Phone),
}

impl std::fmt::Debug for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Whose(…)")
    }
}

/// A partner's own key of a refill.
#[derive(Clone, Debug)]
pub struct RefillKey {
    /// The key.
    pub key: String,
    /// The key as versions kept it that took its quotes for a part of it.
    pub quoted: Option<String>,
}

/// An order with what makes it unique: a check's GUID, which stands in it, or a refill's key.
#[derive(Clone)]
pub struct Submission {
    pub(super) order: Order,
    pub(super) key: Option<RefillKey>,
}

impl Submission {
    /// Of an outside check.
    #[must_use]
    pub fn of_check(whose: Whose, check: OutsideCheck) -> Self {
        let order = Order::new(whose, What::Check(check));
        Self { order, key: None }
    }

    /// Of a refill.
    #[must_use]
    pub fn of_refill(whose: Whose, refill: Refill, key: RefillKey) -> Self {
        let order = Order::new(whose, What::Refill(refill));
        Self { order, key: Some(key) }
    }
}

impl Submission {
    /// The GUID that names it, when it is a check.
    pub(super) fn check_guid(&self) -> Option<uuid::Uuid> {
        match &self.order.what {
            What::Check(check) => Some(check.check_guid),
            What::Refill(_) => None,
        }
    }
}

/// What is ordered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    Check(OutsideCheck),
    Refill(Refill),
}

/// An order. Serialised it is what stands sealed on disk: the names of its fields must not change, and a new one is left out when it is
/// empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Named by the partner, or found by the phone since.
    pub account: Option<AccountId>,
    #[serde(with = "e164")]
    pub phone: Option<Phone>,
    pub what: What,
}

impl Order {
    fn new(whose: Whose, what: What) -> Self {
        let (account, phone) = match whose {
            Whose::Account(id) => (Some(id), None),
            Whose::Phone(phone) => (None, Some(phone)),
        };
        Self { account, phone, what }
    }

    pub fn kind(&self) -> OperationKind {
        match &self.what {
            What::Check(_) => OperationKind::Check,
            What::Refill(_) => OperationKind::Refill,
        }
    }

    /// Bonuses that it gives.
    pub fn accrual(&self) -> Money {
        match &self.what {
            What::Check(check) => check.bonus_accrued,
            What::Refill(refill) => refill.amount,
        }
    }

    /// As it is sealed.
    ///
    /// # Errors
    /// Never in practice.
    pub fn plain(&self) -> Result<Vec<u8>, PartnerError> {
        serde_json::to_vec(self).map_err(|_| PartnerError::Internal)
    }
}

/// A phone in its one spelling; nothing else of the crate writes phones down unsealed.
mod e164 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::Phone;

    #[expect(clippy::ref_option, reason = "serde gives the field as it stands")]
    pub fn serialize<S: Serializer>(phone: &Option<Phone>, serializer: S) -> Result<S::Ok, S::Error> {
        phone.as_ref().map(Phone::e164).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Phone>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.as_deref().and_then(Phone::from_e164))
    }
}
