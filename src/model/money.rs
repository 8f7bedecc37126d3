//! Sums. Money and bonuses alike are whole minor units (kopecks); there is no float anywhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A sum in minor units (kopecks); signed: plus is the guest's gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = i64, example = 125_000, minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The greatest sum a JavaScript client holds exactly.
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// A sum of `minor` units; `None` beyond ±[`Money::MAX`].
    #[must_use]
    pub fn from_minor(minor: i64) -> Option<Self> {
        (minor.unsigned_abs() <= Self::MAX.0.unsigned_abs()).then_some(Self(minor))
    }

    /// Minor units.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.0
    }

    /// The sum of both; `None` beyond ±[`Money::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_minor)
    }

    /// The sum with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Without its sign.
    #[must_use]
    pub fn magnitude(self) -> Self {
        Self(self.0.abs())
    }
}
