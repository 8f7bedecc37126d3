//! What makes an operation unique, and what tells the same order from another one under the same key.

use super::order::{Order, RefillKey, Submission, What};
use super::{PartnerError, key_of};
use crate::keys::{Keys, Purpose};
use crate::model::AccountId;
use crate::store::OperationRow;

/// The version of the fingerprint that new orders get. An order is compared by the version that its row was kept under.
const VERSION: u8 = 1;

/// Length of the id of a key.
const KEY_ID: usize = 4;

/// Bytes of a fingerprint of the version before there were versions: the keyed hash alone.
const UNVERSIONED: usize = 32;

/// The hash of what makes a submission unique. It depends on no secret: a rotation must not make an old order a new one.
///
/// A check's GUID is unique for all partners, as it is for ProBonus; an idempotency key for its partner.
pub(super) fn key_tag(partner: &str, submission: &Submission) -> [u8; 32] {
    match (&submission.order.what, &submission.key) {
        (What::Check(check), _) => key_of(&[b"check", check.check_guid.as_bytes()]),
        (What::Refill(_), key) => refill_tag(partner, key.as_ref().map_or("", |key| &key.key)),
    }
}

/// The hash that versions gave a quoted key which took the quotes for a part of it.
pub(super) fn quoted_key_tag(partner: &str, key: Option<&RefillKey>) -> Option<[u8; 32]> {
    let quoted = key?.quoted.as_deref()?;
    Some(refill_tag(partner, quoted))
}

fn refill_tag(partner: &str, key: &str) -> [u8; 32] {
    key_of(&[b"refill", partner.as_bytes(), key.as_bytes()])
}

/// The public id of an operation, which is the same whenever the same is submitted, also to a store that has forgotten it: a refill is
/// found in ProBonus by a piece of it.
pub(super) fn public_id(order: &Order, key_tag: &[u8; 32]) -> String {
    match &order.what {
        What::Check(check) => check.check_guid.to_string(),
        What::Refill(_) => {
            let (id, _) = key_tag.split_first_chunk().expect("a hash is longer than an id");
            uuid::Builder::from_custom_bytes(*id).into_uuid().to_string()
        }
    }
}

/// The fingerprint of an order that a partner gave: version, id of the key, keyed hash.
pub(super) fn fingerprint(keys: &Keys, partner: &str, order: &Order) -> Vec<u8> {
    let mut fingerprint = vec![VERSION];
    fingerprint.extend_from_slice(&keys.id(Purpose::Operation));
    fingerprint.extend_from_slice(&keys.mac(Purpose::Operation, &parts(partner, &canonical(order))));
    fingerprint
}

/// Whether the order is the one that a row was kept for. When that cannot be told any more, because the key is gone, it is taken for the
/// same: then nothing is sent, and the partner hears what became of what was first given under its key.
///
/// # Errors
/// Never in practice.
pub(super) fn is_same_order(
    keys: &Keys,
    row: &OperationRow,
    partner: &str,
    order: &Order,
) -> Result<bool, PartnerError> {
    if row.partner != partner {
        return Ok(false);
    }
    let by_key = |tag: &[u8]| keys.verify(Purpose::Operation, &parts(partner, &canonical(order)), tag);
    match row.fingerprint.as_slice() {
        [VERSION, rest @ ..] if row.fingerprint.len() != UNVERSIONED => {
            if let Some((id, tag)) = rest.split_first_chunk::<KEY_ID>()
                && keys.knows(Purpose::Operation, *id)
            {
                return Ok(by_key(tag));
            }
        }
        unversioned => {
            let plain = order.plain()?;
            if keys.verify(Purpose::Operation, &[b"order", partner.as_bytes(), &plain], unversioned) {
                return Ok(true);
            }
        }
    }
    Ok(open_order(keys, row).is_none_or(|kept| canonical(&as_given(kept)) == canonical(order)))
}

/// The order of an operation; `None` when it is wiped, or was sealed under a key that is gone.
pub(super) fn open_order(keys: &Keys, row: &OperationRow) -> Option<Order> {
    let plain = keys.open(Purpose::Operation, &row.key_tag, row.sealed.as_deref()?)?;
    serde_json::from_slice(&plain).ok()
}

/// A sealed order as its partner gave it: without the account that was found by the phone.
fn as_given(order: Order) -> Order {
    let account = order.account.filter(|_| order.phone.is_none());
    Order { account, ..order }
}

fn parts<'a>(partner: &'a str, fields: &'a [(&'static str, String)]) -> Vec<&'a [u8]> {
    let fields = fields
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    [&b"order v1"[..], partner.as_bytes()]
        .into_iter()
        .chain(fields)
        .collect()
}

/// The fields of an order by their names, version 1. Fields that are empty are left out: an order that does not use a field of a later
/// version has the fingerprint that it had before there was one.
fn canonical(order: &Order) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let mut put =
        |name, value: Option<String>| fields.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    put("account", order.account.as_ref().map(|id| id.as_str().to_owned()));
    put("phone", order.phone.as_ref().map(|phone| phone.e164().to_owned()));
    match &order.what {
        What::Check(check) => {
            put("check_guid", Some(check.check_guid.to_string()));
            put("restaurant_code", Some(check.restaurant_code.to_string()));
            put("unit_code", Some(check.unit_code.to_string()));
            put("external_number", Some(check.external_number.clone()));
            put("bonus_spent", Some(check.bonus_spent.minor().to_string()));
            put("discount", Some(check.discount.minor().to_string()));
            put("bonus_accrued", Some(check.bonus_accrued.minor().to_string()));
            put("money_spent", Some(check.money_spent.minor().to_string()));
            put("content", check.content.clone());
        }
        What::Refill(refill) => {
            put("amount", Some(refill.amount.minor().to_string()));
            put("comment", refill.comment.clone());
        }
    }
    fields
}

/// The keyed hash of what makes two checks of an account alike where ProBonus shows no GUID; refills have their marks.
pub(super) fn likeness(keys: &Keys, account: &AccountId, order: &Order) -> Option<[u8; 32]> {
    let What::Check(check) = &order.what else { return None };
    let (accrued, spent) = (check.bonus_accrued.minor(), check.bonus_spent.minor());
    let parts: [&[u8]; 5] = [
        b"likeness",
        account.as_str().as_bytes(),
        check.external_number.as_bytes(),
        &accrued.to_be_bytes(),
        &spent.to_be_bytes(),
    ];
    Some(keys.mac(Purpose::Operation, &parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use crate::keys::hex;
    use crate::model::{Money, OperationState, OutsideCheck, Phone, Refill};
    use crate::partner::Whose;

    /// Fingerprints as they stand on disks: they must never change.
    const CHECK_V1: &str = "011cecf773ad91795b6414f2fddc14340857581132e7135cdf15f88b7edcfd582ec9ea5c31";
    const REFILL_V1: &str = "011cecf773bf10d7f8ad605f0db8b380a9bee339ca4414683a2e2fa0508a9aca9035a65d1d";

    /// The same orders by the version before there were versions.
    const CHECK_UNVERSIONED: &str = "7a628b7bbd140b6f331b18c0a2fc0f4dd08fb526f9680b68599834e1c6a9aa53";
    const REFILL_UNVERSIONED: &str = "233a873b7a31d41c3448da7c19d54257be8c92c31f16926f646fe6fdabd910d8";

    fn keys(secret: &str) -> Keys {
        Keys::derive(&secret.into(), None, Entropy::system())
    }

    const SECRET: &str = "a master secret for tests of enough bytes";

    fn sum(kopecks: i64) -> Money {
        Money::from_minor(kopecks).expect("a sum")
    }

    fn check() -> Submission {
        let check = OutsideCheck {
            check_guid: "6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11".parse().expect("a GUID"),
            restaurant_code: 1,
            unit_code: 2,
            external_number: "D-1001".into(),
            bonus_spent: sum(10),
            discount: sum(20),
            bonus_accrued: sum(5000),
            money_spent: sum(100_000),
            content: Some("Пицца, \"сок\"".into()),
        };
        Submission::of_check(Whose::Account(AccountId::parse("10021").expect("an id")), check)
    }

    fn refill(amount: i64) -> Submission {
        let phone = Phone::from_e164("+79160000001").expect("a phone");
        let refill = Refill {
            amount: sum(amount),
            comment: None,
        };
        let key = RefillKey {
            key: "k1".into(),
            quoted: None,
        };
        Submission::of_refill(Whose::Phone(phone), refill, key)
    }

    fn row(keys: &Keys, submission: &Submission, fingerprint: Vec<u8>) -> OperationRow {
        let (key_tag, order) = (key_tag("delivery", submission), &submission.order);
        // As it stands after the account was found.
        let sealed = Order {
            account: AccountId::parse("10021").ok(),
            ..order.clone()
        };
        OperationRow {
            id: public_id(order, &key_tag),
            kind: order.kind(),
            partner: "delivery".into(),
            fingerprint,
            sealed: Some(keys.seal(Purpose::Operation, &key_tag, &sealed.plain().expect("plain"))),
            key_tag: key_tag.to_vec(),
            state: OperationState::Registered,
            attempts: 1,
            owner: Vec::new(),
            lease_until_us: 0,
            created_at_us: 0,
            since_us: 0,
            sent_at_us: 0,
            changed_at_us: 0,
            history_lag_us: None,
            reason: None,
        }
    }

    fn bytes(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hexadecimal");
        digits.chunks(2).map(byte).collect()
    }

    fn is_same(keys: &Keys, row: &OperationRow, submission: &Submission) -> bool {
        is_same_order(keys, row, "delivery", &submission.order).expect("compared")
    }

    #[test]
    fn the_fingerprints_that_stand_on_disks_stay_good() {
        let keys = keys(SECRET);
        for (submission, v1, unversioned) in [
            (check(), CHECK_V1, CHECK_UNVERSIONED),
            (refill(10_000), REFILL_V1, REFILL_UNVERSIONED),
        ] {
            assert_eq!(hex(&fingerprint(&keys, "delivery", &submission.order)), v1);
            for kept in [v1, unversioned] {
                let row = row(&keys, &submission, bytes(kept));
                assert!(is_same(&keys, &row, &submission), "{kept}");
                assert!(!is_same(&keys, &row, &refill(10_001)), "{kept}");
                assert!(!is_same_order(&keys, &row, "another", &submission.order).expect("compared"));
            }
        }
    }

    #[test]
    fn what_is_sealed_is_what_the_version_before_sealed() {
        let plain = check().order.plain().expect("plain");
        assert_eq!(
            String::from_utf8(plain).expect("text"),
            r#"{"account":"10021","phone":null,"what":{"Check":{"guid":"6f1c0a52-8f6e-4a39-9a2b-0d5f0c7f3b11","restaurant":1,"unit":2,"number":"D-1001","spent":10,"discount":20,"accrued":5000,"money":100000,"content":"Пицца, \"сок\""}}}"#
        );
        let plain = refill(10_000).order.plain().expect("plain");
        assert_eq!(
            String::from_utf8(plain).expect("text"),
            r#"{"account":null,"phone":"+79160000001","what":{"Refill":{"amount":10000,"comment":null}}}"#
        );
    }

    #[test]
    fn an_order_is_never_another_because_a_key_or_a_version_is_gone() {
        let (keys, lost) = (keys(SECRET), keys("another master secret of enough bytes"));
        for submission in [check(), refill(10_000)] {
            let kept = fingerprint(&keys, "delivery", &submission.order);
            let row = row(&keys, &submission, kept.clone());
            assert!(is_same(&lost, &row, &submission), "its key is gone");
            let mut later = kept;
            later[0] = VERSION + 1;
            let row = OperationRow {
                fingerprint: later,
                ..row
            };
            assert!(is_same(&keys, &row, &submission), "of a version to come");
            assert!(!is_same(&keys, &row, &refill(10_001)), "compared by what is sealed");
        }
    }

    #[test]
    fn a_refill_has_the_same_id_whenever_it_is_submitted_and_an_empty_field_is_none() {
        let id = |submission: &Submission| public_id(&submission.order, &key_tag("delivery", submission));
        assert_eq!(id(&refill(10_000)), id(&refill(10_001)));
        assert_eq!(
            uuid::Uuid::parse_str(&id(&refill(1)))
                .expect("a UUID")
                .get_version_num(),
            8
        );
        let keys = keys(SECRET);
        let (none, mut empty) = (refill(1), refill(1));
        if let What::Refill(refill) = &mut empty.order.what {
            refill.comment = Some(String::new());
        }
        assert_eq!(
            fingerprint(&keys, "delivery", &none.order),
            fingerprint(&keys, "delivery", &empty.order)
        );
    }
}
