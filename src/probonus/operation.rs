//! The eleven operations: their names, paths, usual methods, and which of them fail together.

use http::Method;

/// An operation of ProBonus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are ProBonus' own")]
pub enum Operation {
    Login,
    RefreshToken,
    AccountGroups,
    FindByPhone,
    InsertByTemplate,
    Update,
    Refill,
    Transactions,
    Balance,
    Check,
    RegisterCheck,
}

/// Operations that share a concurrency limit and a throttle: what one of them suffers says something about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// What guests read.
    Reads,
    /// Checks down to the dishes: often a heavier part of the server.
    Checks,
    /// What guests write.
    Writes,
    /// What partners write.
    Partners,
}

/// What an operation is for, which decides how its answer is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Looks for one thing that may not be there.
    Find,
    /// Reads what must be there.
    Read,
    /// Changes something.
    Write,
}

impl Group {
    pub const ALL: [Self; 4] = [Self::Reads, Self::Checks, Self::Writes, Self::Partners];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Checks => "checks",
            Self::Writes => "writes",
            Self::Partners => "partners",
        }
    }
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::RefreshToken,
        Self::AccountGroups,
        Self::FindByPhone,
        Self::InsertByTemplate,
        Self::Update,
        Self::Refill,
        Self::Transactions,
        Self::Balance,
        Self::Check,
        Self::RegisterCheck,
    ];

    /// Names of the arguments it is sent with.
    #[must_use]
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Login => &["login", "password"],
            Self::RefreshToken => &["refreshToken"],
            Self::AccountGroups => &[],
            Self::FindByPhone => &["phone"],
            Self::InsertByTemplate => &[
                "accountGroupId",
                "phone",
                "firstName",
                "lastName",
                "middleName",
                "birthday",
                "gender",
                "email",
            ],
            Self::Update => &[
                "id",
                "firstName",
                "lastName",
                "middleName",
                "birthday",
                "gender",
                "email",
            ],
            Self::Refill => &["accountId", "sum", "comment"],
            Self::Transactions => &["accountId", "dateFrom", "dateTo"],
            Self::Balance => &["accountId"],
            Self::Check => &["id"],
            Self::RegisterCheck => &[
                "restCode",
                "checkGuid",
                "accountId",
                "rkUnit",
                "externalCheck",
                "bonusSpentSum",
                "discountSum",
                "bonusAccruedSum",
                "moneySpentSum",
                "checkData",
            ],
        }
    }

    /// Members of its answer that we cannot do without, each in all accepted spellings.
    #[must_use]
    pub fn answer(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Login | Self::RefreshToken => &[
                &["accessToken", "access_token", "token"],
                &["refreshToken", "refresh_token"],
            ],
            Self::AccountGroups => &[&["id"], &["haveTemplate"]],
            Self::FindByPhone => &[
                &["id", "accountId"],
                &["firstName", "name"],
                &["lastName", "surname"],
                &["level"],
                &["coupons"],
            ],
            Self::Transactions => &[
                &["id"],
                &["date", "createdAt"],
                &["type", "operation"],
                &["sum", "amount"],
                &["checkId"],
            ],
            Self::Balance => &[&["balance"], &["details", "burnings", "expirations"]],
            Self::Check => &[&["id"], &["items", "dishes"]],
            Self::InsertByTemplate | Self::Update | Self::Refill | Self::RegisterCheck => &[],
        }
    }

    /// The name in configuration and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::RefreshToken => "refresh_token",
            Self::AccountGroups => "account_groups",
            Self::FindByPhone => "find_by_phone",
            Self::InsertByTemplate => "insert_by_template",
            Self::Update => "update",
            Self::Refill => "refill",
            Self::Transactions => "transactions",
            Self::Balance => "get_balance_extended",
            Self::Check => "get_by_id",
            Self::RegisterCheck => "register_check",
        }
    }

    /// Its path under the base address.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Login => "api/v0/auth/login",
            Self::RefreshToken => "api/v0/auth/refresh_token",
            Self::AccountGroups => "api/v0/account_groups/list",
            Self::FindByPhone => "api/v0/accounts/find_by_phone",
            Self::InsertByTemplate => "api/v0/accounts/insert_by_template",
            Self::Update => "api/v0/accounts/update",
            Self::Refill => "api/v0/accounts/refill",
            Self::Transactions => "api/v0/accounts/transactions",
            Self::Balance => "api/v0/accounts/get_balance_extended",
            Self::Check => "api/v0/checks/get_by_id",
            Self::RegisterCheck => "api/v0/external/register_check",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::FindByPhone | Self::Check => Kind::Find,
            Self::Login | Self::RefreshToken | Self::AccountGroups | Self::Transactions | Self::Balance => Kind::Read,
            Self::InsertByTemplate | Self::Update | Self::Refill | Self::RegisterCheck => Kind::Write,
        }
    }

    /// Whether its answer is a list.
    pub(super) fn tells_a_list(self) -> bool {
        matches!(self, Self::AccountGroups | Self::Transactions)
    }

    /// Names by which its own answer may stand inside an object.
    pub(super) fn own_envelopes(self) -> &'static [&'static str] {
        match self {
            Self::AccountGroups => &["groups", "accountGroups"],
            Self::FindByPhone | Self::InsertByTemplate | Self::Update => &["account", "accounts"],
            Self::Transactions => &["transactions", "history"],
            Self::Balance => &["balance"],
            Self::Check => &["check", "checks"],
            Self::Login | Self::RefreshToken => &["tokens"],
            Self::Refill | Self::RegisterCheck => &[],
        }
    }

    /// Members by which a write names what it made or changed.
    pub(super) fn made(self) -> &'static [&'static str] {
        match self {
            Self::InsertByTemplate | Self::Update => &["id", "accountId"],
            Self::Refill => &["id", "transactionId", "operationId", "accountId"],
            Self::RegisterCheck => &["id", "checkId", "transactionId", "checkGuid", "accountId"],
            _ => &[],
        }
    }

    /// Whether it may be repeated without harm, whatever method it is sent by.
    pub(super) fn is_read(self) -> bool {
        matches!(
            self,
            Self::AccountGroups | Self::FindByPhone | Self::Transactions | Self::Balance | Self::Check
        )
    }

    /// The argument that names the guest it is about; a check is asked for by its own id.
    pub(super) fn guest_argument(self) -> Option<&'static str> {
        match self {
            Self::FindByPhone | Self::InsertByTemplate => Some("phone"),
            Self::Transactions | Self::Balance | Self::Refill | Self::RegisterCheck => Some("accountId"),
            Self::Update => Some("id"),
            Self::Login | Self::RefreshToken | Self::AccountGroups | Self::Check => None,
        }
    }

    /// The method it is sent by unless configured otherwise.
    #[must_use]
    pub fn usual_method(self) -> Method {
        if self.is_read() { Method::GET } else { Method::POST }
    }

    pub(super) fn group(self) -> Group {
        match self {
            Self::AccountGroups | Self::FindByPhone | Self::Transactions | Self::Balance => Group::Reads,
            Self::Check => Group::Checks,
            Self::InsertByTemplate | Self::Update | Self::Login | Self::RefreshToken => Group::Writes,
            Self::Refill | Self::RegisterCheck => Group::Partners,
        }
    }
}
