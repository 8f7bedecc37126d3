//! What the till reads: the guest's identifier, as text and as QR.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Cabinet, Source, ViewError, Wish};
use crate::config::CardIdentifier;
use crate::model::Guest;

/// What the guest shows at the till.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Card {
    /// What is in the code.
    #[schema(example = "79160000001")]
    pub payload: String,
    /// Always `qr`.
    #[schema(example = "qr")]
    pub format: &'static str,
    /// The same for people, to be typed or said.
    #[schema(example = "+79160000001")]
    pub identifier: String,
    /// When it stops being good; `null`: never.
    pub expires_at: Option<Timestamp>,
    /// Seconds after which to ask for the next one; `null`: not needed.
    pub refresh_in: Option<u64>,
}

impl Cabinet {
    /// `GET /me/card`.
    ///
    /// # Errors
    /// See [`ViewError`]; a blocked account has no card.
    pub async fn card(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<(Card, Source), ViewError> {
        let found = self.account_seen(guest, wish).await?;
        let seen = &found.filled.value;
        if seen.blocked {
            return Err(ViewError::AccountBlocked);
        }
        let card = match self.config.program.card_identifier {
            CardIdentifier::Phone => None,
            CardIdentifier::Card => seen.card.as_deref().map(str::to_owned),
        };
        let card = Card {
            payload: card.clone().unwrap_or_else(|| guest.phone.digits().to_owned()),
            format: "qr",
            identifier: card.unwrap_or_else(|| guest.phone.e164().to_owned()),
            expires_at: None,
            refresh_in: None,
        };
        Ok((card, found.source))
    }

    /// `GET /me/card.svg`: dark on light in every theme, as scanners need it.
    ///
    /// # Errors
    /// As [`Cabinet::card`].
    pub async fn card_svg(self: &Arc<Self>, guest: &Guest, wish: Wish) -> Result<(String, Source), ViewError> {
        use fast_qr::convert::Builder;
        let (card, source) = self.card(guest, wish).await?;
        let code = fast_qr::QRBuilder::new(card.payload)
            .ecl(fast_qr::ECL::M)
            .build()
            .map_err(|_| ViewError::Internal)?;
        let svg = fast_qr::convert::svg::SvgBuilder::default()
            .margin(4)
            .background_color("#ffffff")
            .to_str(&code);
        Ok((svg, source))
    }
}
