//! The table of forms in which a ProBonus says inside a body how a call went.
//!
//! Whether a name stands for anything is decided by its value: `"errors": []`, `"error": ""` and `"errorCode": 0` are no errors, and an
//! account's `"status": "active"` is no word about the call.

use super::json::{Json, Object};

/// What one member says about the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probonus) enum Word {
    /// It was done: a flag or a word that a server sets for nothing else.
    Done,
    /// Nothing went wrong: a status or a number of errors, which some servers also set beside a refusal.
    Fine,
    /// It was refused, with the HTTP status told along or 200.
    Refused(u16),
    /// The server failed at it: whatever it had begun may have been done.
    Failed,
}

/// Members by one of these names, and how their value is read.
struct Sign {
    names: &'static [&'static str],
    read: fn(Json) -> Option<Word>,
}

/// The table. Names are compared without regard to case, `_` and `-`.
const SIGNS: [Sign; 7] = [
    Sign {
        names: &[
            "success",
            "isSuccess",
            "isSuccessful",
            "successful",
            "succeeded",
            "ok",
            "isOk",
        ],
        read: flag,
    },
    Sign {
        names: &[
            "isError",
            "hasError",
            "hasErrors",
            "failed",
            "isFailed",
            "isFailure",
            "isFaulted",
        ],
        read: inverse_flag,
    },
    Sign {
        names: &["status", "statusCode", "httpStatus", "httpStatusCode"],
        read: status,
    },
    Sign {
        names: &["result"],
        read: |value| word(value).or_else(|| flag_itself(value)),
    },
    Sign {
        names: &[
            "error",
            "errors",
            "errorMessage",
            "errorText",
            "errorDescription",
            "validationErrors",
        ],
        read: trouble,
    },
    Sign {
        names: &["errorCode", "errCode", "errorNumber"],
        read: code,
    },
    Sign {
        names: &["exception", "exceptionMessage", "exceptionType", "innerException"],
        read: trouble,
    },
];

/// Words for "done" and "refused", in small letters.
const DONE: [&str; 9] = [
    "ok",
    "success",
    "successful",
    "succeeded",
    "done",
    "completed",
    "успешно",
    "успех",
    "выполнено",
];
const REFUSED: [&str; 14] = [
    "error",
    "err",
    "fail",
    "failed",
    "failure",
    "refused",
    "rejected",
    "denied",
    "declined",
    "bad request",
    "badrequest",
    "ошибка",
    "отказ",
    "отклонено",
];

/// What stands where an error would, when there was none.
const NO_TROUBLE: [&str; 8] = ["", "0", "none", "null", "no", "false", "no error", "нет"];

/// Words of an error that is the server's own: it says nothing about whether the call took effect.
const OWN_FAILURES: [&str; 12] = [
    "timeout",
    "timed out",
    "deadlock",
    "sqlexception",
    "dbupdate",
    "dbexception",
    "connection",
    "canceled",
    "cancelled",
    "ioexception",
    "outofmemory",
    "internal server error",
];

/// Members that explain how a call went, for people.
const EXPLAINING: [&str; 4] = ["message", "title", "detail", "reason"];

/// What an answer says about the call, all its envelopes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "an answer may say all of it at once")]
pub(in crate::probonus) struct Said {
    pub done: bool,
    pub fine: bool,
    pub refused: Option<u16>,
    pub failed: bool,
    /// A text explains something, in words that nobody calls good.
    pub explained: bool,
}

impl Said {
    /// Hears what `object` says, in addition to what was heard before.
    pub fn hear(&mut self, object: &Object) {
        self.hear_all(object, true);
    }

    fn hear_all(&mut self, object: &Object, outermost: bool) {
        for (name, value) in object.members() {
            for sign in SIGNS.iter().filter(|sign| is_named(name, sign.names)) {
                match (sign.read)(value) {
                    Some(Word::Done) => self.done = true,
                    Some(Word::Fine) => self.fine = true,
                    Some(Word::Refused(status)) => {
                        self.refused = self.refused.max(Some(status));
                    }
                    Some(Word::Failed) => self.failed = true,
                    None => {}
                }
            }
            self.explained |= is_named(name, &EXPLAINING) && trouble(value).is_some();
            // `"status": {"success": false}`, `"meta": {"statusCode": 400}`.
            if outermost
                && is_named(name, &["status", "meta"])
                && let Ok(inner) = value.object()
            {
                self.hear_all(&inner, false);
            }
        }
    }
}

/// Whether a member of an answer says only how the call went, or is the furniture of an envelope.
pub(in crate::probonus) fn is_furniture(name: &str) -> bool {
    const FURNITURE: [&str; 26] = [
        "message",
        "title",
        "detail",
        "type",
        "code",
        "traceId",
        "requestId",
        "correlationId",
        "timestamp",
        "time",
        "version",
        "total",
        "count",
        "totalCount",
        "page",
        "pageSize",
        "pageNumber",
        "hasMore",
        "formatters",
        "contentTypes",
        "contentType",
        "declaredType",
        "serializerSettings",
        "meta",
        "warnings",
        "jsonrpc",
    ];
    name.starts_with('$') || is_named(name, &FURNITURE) || SIGNS.iter().any(|sign| is_named(name, sign.names))
}

/// Whether `name` is one of `names`, whatever the case of its letters, `_` and `-`.
pub(in crate::probonus) fn is_named(name: &str, names: &[&str]) -> bool {
    fn bare(name: &str) -> impl Iterator<Item = char> {
        let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
        letters.map(|c| c.to_ascii_lowercase())
    }
    names.iter().any(|known| bare(name).eq(bare(known)))
}

/// A word about the call, as a bare value or as a member's.
pub(in crate::probonus) fn word(value: Json) -> Option<Word> {
    let text = value.text().ok()?.trim().to_lowercase();
    if DONE.contains(&text.as_str()) {
        Some(Word::Done)
    } else if REFUSED.contains(&text.as_str()) {
        Some(Word::Refused(200))
    } else {
        None
    }
}

/// A bare `true` or `false`.
pub(in crate::probonus) fn flag_itself(value: Json) -> Option<Word> {
    value.is_flag().then(|| flag(value)).flatten()
}

fn flag(value: Json) -> Option<Word> {
    if value.is_null() || value.text().is_ok_and(|text| text.trim().is_empty()) {
        return None;
    }
    let told = value.flag().ok()?;
    Some(if told { Word::Done } else { Word::Refused(200) })
}

fn inverse_flag(value: Json) -> Option<Word> {
    match flag(value)? {
        Word::Done => Some(Word::Refused(200)),
        _ => Some(Word::Fine),
    }
}

/// An HTTP status as a number or as text (`400`, `"400 Bad Request"`), a word, or a flag.
fn status(value: Json) -> Option<Word> {
    let text = value.scalar().ok();
    let digits = text
        .as_deref()
        .map(|text| text.trim().split([' ', '.']).next().unwrap_or_default().to_owned());
    match digits
        .filter(|digits| digits.len() == 3)
        .and_then(|digits| digits.parse().ok())
    {
        Some(200..=299) => Some(Word::Fine),
        Some(status @ 400..=499) => Some(Word::Refused(status)),
        Some(500..=599) => Some(Word::Failed),
        _ => word(value).or_else(|| flag_itself(value)),
    }
}

/// A number or a name of an error: 0 is none.
fn code(value: Json) -> Option<Word> {
    let text = value.scalar().ok()?.trim().to_lowercase();
    match text.parse::<i64>() {
        Ok(0 | 200..=299) => Some(Word::Fine),
        Ok(500..=599) => Some(Word::Failed),
        Ok(status @ 400..=499) => u16::try_from(status).ok().map(Word::Refused),
        _ if NO_TROUBLE.contains(&text.as_str()) || DONE.contains(&text.as_str()) => None,
        _ => Some(Word::Refused(200)),
    }
}

/// An error told by a text, a list, an object or a flag.
fn trouble(value: Json) -> Option<Word> {
    if value.is_nothing() || word(value) == Some(Word::Done) {
        return None;
    }
    if value.is_flag() {
        return inverse_flag(value).filter(|word| *word != Word::Fine);
    }
    let none = |text: &str| NO_TROUBLE.contains(&text.trim().to_lowercase().as_str());
    if value.scalar().is_ok_and(|text| none(&text)) {
        return None;
    }
    let said = value.as_written().to_lowercase();
    let own = OWN_FAILURES.iter().any(|failure| said.contains(failure));
    Some(if own { Word::Failed } else { Word::Refused(200) })
}
