//! The vocabulary: what the cabinet talks about, as plain data. These are the guest's views and the contract at once.
//!
//! Knows no room. Values are parsed at the edge and are right from then on; `Debug` of personal data is masked.

mod account;
mod channel;
mod check;
mod email;
mod guest;
mod ids;
mod mark;
mod money;
mod partner;
mod phone;
pub mod text;
mod transaction;

pub use account::{
    Account, Balance, Coupon, Currency, Expiry, Gender, Level, NewAccount, NextLevel, Profile, ProfileEdit,
};
pub use channel::{Channel, Platform};
pub use check::{Check, CheckItem, RestaurantRef};
pub use email::is_email;
pub use guest::{AccountBinding, Guest, GuestKey, OpenSession, SessionId};
pub use ids::{AccountId, CheckId, GroupId, InvalidId, TransactionId};
pub use mark::{mark, mark_in, marked, resembles_mark, without_marks};
pub use money::Money;
pub use partner::{AccountGroup, OperationKind, OperationState, OutsideCheck, Refill, UnknownReason};
pub use phone::{Phone, PhonePolicy, PhoneRefused};
pub use transaction::{Transaction, TransactionKind};
