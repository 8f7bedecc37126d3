//! An account as `find_by_phone` tells it: the questionnaire, the level, coupons, identifiers.

use super::fields::{Context, Fields, clean, id};
use super::json::{Json, NONSENSE, Read};
use super::scalars::{gender, percent};
use crate::model::{Account, AccountId, Coupon, GroupId, Level};

/// Names of an account's id.
const ID: &[&str] = &["id", "accountId"];

/// Reads an account.
pub(in crate::probonus) fn read_account(answer: Json, context: Context) -> Read<Account> {
    let fields = Fields::of(answer, context)?;
    Ok(Account {
        id: fields.id(ID)?,
        // Nothing is decided by it.
        group: fields.tolerant(&["accountGroupId"], id::<GroupId>),
        first_name: fields.text(&["firstName", "name"]),
        last_name: fields.text(&["lastName", "surname"]),
        middle_name: fields.text(&["middleName", "patronymic"]),
        birthday: fields.day(&["birthday", "birthDate"]),
        gender: fields.tolerant(&["gender", "sex"], gender).flatten(),
        email: fields.text(&["email"]),
        balance: fields.money(&["balance", "bonusBalance"])?,
        blocked: fields.strict(&["isBlocked", "blocked"], Json::flag)?.unwrap_or(false),
        turnover: fields.money(&["turnover", "moneySpentSum"])?,
        level: fields
            .tolerant(&["level"], |value| read_level(value, context))
            .flatten(),
        coupons: fields.objects(&["coupons"]).iter().map(read_coupon).collect(),
        identifiers: read_identifiers(&fields, context),
    })
}

/// The id of an account.
pub(in crate::probonus) fn read_account_id(account: Json, context: Context) -> Read<AccountId> {
    Fields::of(account, context)?.id(ID)
}

fn read_coupon(fields: &Fields) -> Coupon {
    Coupon {
        id: fields.text(&["id"]),
        name: fields.text(&["name"]),
        code: fields.text(&["code"]),
        description: fields.text(&["description"]),
        valid_from: fields.moment(&["validFrom"]),
        valid_to: fields.moment(&["validTo"]),
        used: fields.flag(&["isUsed", "used"]),
    }
}

/// A level by its name alone, or with its percents.
fn read_level(value: Json, context: Context) -> Read<Option<Level>> {
    let Ok(fields) = Fields::of(value, context) else {
        let name = clean(&value.scalar()?);
        return Ok((!name.is_empty()).then(|| level_named(name)));
    };
    Ok(fields.text(&["name"]).map(|name| Level {
        bonus_percent: fields.tolerant(&["bonusPercent"], percent),
        discount_percent: fields.tolerant(&["discountPercent"], percent),
        ..level_named(name)
    }))
}

fn level_named(name: String) -> Level {
    Level {
        name,
        bonus_percent: None,
        discount_percent: None,
        turnover: None,
        next: None,
    }
}

/// Card numbers as texts, or as objects with their number.
fn read_identifiers(account: &Fields, context: Context) -> Vec<String> {
    let mut identifiers = Vec::new();
    for value in account.entries(&["identifiers", "cards"]) {
        let read = match Fields::of(value, context) {
            Ok(card) => Ok(card.text(&["number", "code", "value", "id"]).unwrap_or_default()),
            Err(_) => value.scalar().map(|text| clean(&text)).map_err(|_| NONSENSE),
        };
        match read {
            Ok(text) if text.is_empty() => {}
            Ok(text) => identifiers.push(text),
            Err(_) => context.odd.note("identifiers"),
        }
    }
    identifiers
}
