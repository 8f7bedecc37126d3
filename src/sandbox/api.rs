//! The eleven operations, as ProBonus answers them.

mod accounts;
mod movements;

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::dialect::Absent;
use super::{Shared, World};

/// The operations: name, path, whether it only reads.
pub(super) const OPERATIONS: [(&str, &str, bool); 11] = [
    ("login", "/api/v0/auth/login", false),
    ("refresh_token", "/api/v0/auth/refresh_token", false),
    ("account_groups", "/api/v0/account_groups/list", true),
    ("find_by_phone", "/api/v0/accounts/find_by_phone", true),
    ("insert_by_template", "/api/v0/accounts/insert_by_template", false),
    ("update", "/api/v0/accounts/update", false),
    ("refill", "/api/v0/accounts/refill", false),
    ("transactions", "/api/v0/accounts/transactions", true),
    ("get_balance_extended", "/api/v0/accounts/get_balance_extended", true),
    ("get_by_id", "/api/v0/checks/get_by_id", true),
    ("register_check", "/api/v0/external/register_check", false),
];

/// Bearer tokens live so long (µs).
const TOKEN_US: i64 = 600_000_000;

/// An answer before faults touch it.
pub(super) struct Answer {
    pub status: StatusCode,
    /// `None`: an empty body.
    pub body: Option<Value>,
}

pub(super) type Arguments = Map<String, Value>;

fn ok(body: Value) -> Answer {
    Answer {
        status: StatusCode::OK,
        body: Some(body),
    }
}

fn refuse(status: StatusCode, message: &str) -> Answer {
    Answer {
        status,
        body: Some(json!({ "message": message })),
    }
}

fn wrong(message: &str) -> Answer {
    refuse(StatusCode::BAD_REQUEST, message)
}

/// A text argument; numbers as their text.
fn text(arguments: &Arguments, name: &str) -> Option<String> {
    match arguments.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(arguments: &Arguments, name: &str) -> Option<i64> {
    text(arguments, name)?.parse().ok()
}

/// Digits with 7 of any of the spellings that ProBonus knows.
fn phone(arguments: &Arguments) -> Option<String> {
    let digits: String = text(arguments, "phone")?.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix('8') {
        Some(rest) if digits.len() == 11 => Some(format!("7{rest}")),
        _ => (digits.len() >= 10).then_some(digits),
    }
}

impl Shared {
    /// Whether the credential is accepted.
    pub(super) fn authorized(&self, world: &World, headers: &HeaderMap) -> bool {
        if world.revoked {
            return false;
        }
        let header = &world.dialect.token_header;
        let sent = if header.is_empty() {
            let value = headers.get("authorization").and_then(|value| value.to_str().ok());
            value.and_then(|value| value.strip_prefix("Bearer "))
        } else {
            headers.get(header.as_str()).and_then(|value| value.to_str().ok())
        };
        let now_us = self.now().as_microsecond();
        let bearer = |sent: &str| {
            world
                .tokens
                .iter()
                .any(|(token, until)| token == sent && now_us < *until)
        };
        sent.is_some_and(|sent| sent == self.config.token || bearer(sent))
    }

    /// Whether the operation may be called by this method in this dialect.
    pub(super) fn takes_method(world: &World, reads: bool, method: &Method) -> bool {
        if reads && !world.dialect.post_reads {
            *method == Method::GET || *method == Method::POST
        } else {
            *method == Method::POST
        }
    }

    /// The phone of the guest a call is about.
    pub(super) fn guest_of(world: &World, operation: &str, arguments: &Arguments) -> Option<String> {
        let account = match operation {
            "find_by_phone" | "insert_by_template" => return phone(arguments),
            "update" => number(arguments, "id")?,
            "get_by_id" => world.book.checks.get(&number(arguments, "id")?)?.account,
            _ => number(arguments, "accountId")?,
        };
        world.book.accounts.get(&account).map(|account| account.phone.clone())
    }

    /// Lets what was ordered before take effect, as far as its time has come.
    pub(super) fn catch_up(&self, world: &mut World) {
        let now_us = self.now().as_microsecond();
        let (due, later) = std::mem::take(&mut world.late)
            .into_iter()
            .partition(|(due_us, _, _)| *due_us <= now_us);
        world.late = later;
        let due: Vec<(i64, &'static str, Arguments)> = due;
        for (_, operation, arguments) in due {
            self.perform(world, operation, &arguments);
        }
    }

    /// Does what the operation does.
    pub(super) fn perform(&self, world: &mut World, operation: &str, arguments: &Arguments) -> Answer {
        match operation {
            "login" => self.login(world, arguments),
            "refresh_token" => self.refresh(world, arguments),
            "account_groups" => self.groups(world),
            "find_by_phone" => self.find(world, arguments),
            "insert_by_template" => self.insert(world, arguments),
            "update" => self.update(world, arguments),
            "refill" => self.refill(world, arguments),
            "transactions" => self.transactions(world, arguments),
            "get_balance_extended" => self.balance(world, arguments),
            "get_by_id" => self.check(world, arguments),
            _ => self.register_check(world, arguments),
        }
    }

    fn login(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let right = text(arguments, "login").as_deref() == Some(&self.config.login)
            && text(arguments, "password").as_deref() == Some(&self.config.password);
        if !right || world.revoked {
            return refuse(StatusCode::UNAUTHORIZED, "Неверный логин или пароль");
        }
        self.tokens(world)
    }

    fn refresh(&self, world: &mut World, arguments: &Arguments) -> Answer {
        let sent = text(arguments, "refreshToken").unwrap_or_default();
        let known = world.refresh_tokens.iter().position(|token| *token == sent);
        match known {
            Some(index) if !world.revoked => {
                world.refresh_tokens.remove(index);
                self.tokens(world)
            }
            _ => refuse(StatusCode::UNAUTHORIZED, "Токен обновления не действует"),
        }
    }

    fn tokens(&self, world: &mut World) -> Answer {
        let access = self.config.entropy.uuid().to_string();
        let refresh = self.config.entropy.uuid().to_string();
        let now_us = self.now().as_microsecond();
        world.tokens.retain(|(_, until)| now_us < *until);
        world.tokens.push((access.clone(), now_us + TOKEN_US));
        world.refresh_tokens.push(refresh.clone());
        if world.refresh_tokens.len() > 100 {
            world.refresh_tokens.remove(0);
        }
        let answer = world.dialect.object(&self.zone);
        let answer = answer
            .put("accessToken", "access_token", access)
            .put("refreshToken", "refresh_token", refresh)
            .put("expiresIn", "expires_in", TOKEN_US / 1_000_000);
        ok(world.dialect.wrapped(answer.done()))
    }

    fn groups(&self, world: &World) -> Answer {
        let group = |group: &super::book::Group| {
            let object = world.dialect.object(&self.zone).id("id", "id", group.id);
            object
                .put("name", "name", group.name)
                .put("haveTemplate", "haveTemplate", group.have_template)
                .done()
        };
        let groups: Vec<Value> = world.book.groups.iter().map(group).collect();
        ok(world.dialect.wrapped(groups.into()))
    }
}

fn absent(how: Absent) -> Answer {
    let (status, body) = match how {
        Absent::NotFound => (StatusCode::NOT_FOUND, Some(json!({ "message": "Не найдено" }))),
        Absent::NoContent => (StatusCode::NO_CONTENT, None),
        Absent::Empty => (StatusCode::OK, None),
        Absent::Null => (StatusCode::OK, Some(Value::Null)),
        Absent::Object => (StatusCode::OK, Some(json!({}))),
        Absent::Array => (StatusCode::OK, Some(json!([]))),
        Absent::DataNull => (StatusCode::OK, Some(json!({ "data": null }))),
    };
    Answer { status, body }
}
