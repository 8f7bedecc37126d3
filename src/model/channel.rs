//! How a code reaches a phone, and for what its text is made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A way to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A short message.
    Sms,
    /// A call whose caller's last digits are the code.
    FlashCall,
    /// The guest calls a number.
    GuestCall,
    /// A message in Telegram.
    Telegram,
    /// Something else of the operator's.
    Other,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sms, Self::FlashCall, Self::GuestCall, Self::Telegram, Self::Other];

    /// The name in bodies, configuration and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::FlashCall => "flash_call",
            Self::GuestCall => "guest_call",
            Self::Telegram => "telegram",
            Self::Other => "other",
        }
    }

    /// The channel of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}

/// Where the code will be typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// A browser: the text ends with the WebOTP line.
    #[default]
    Web,
    /// An iOS app.
    Ios,
    /// An Android app: the text ends with the app's hash.
    Android,
}

impl Platform {
    /// The name in bodies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Ios => "ios",
            Self::Android => "android",
        }
    }

    /// The platform of that name; an unknown one is a browser.
    #[must_use]
    pub fn named(name: &str) -> Self {
        [Self::Ios, Self::Android]
            .into_iter()
            .find(|platform| platform.as_str() == name)
            .unwrap_or_default()
    }
}
