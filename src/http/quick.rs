//! The reads that guests make all day, answered without the router: the layer has found the operation already, and looking its path up
//! again, boxing its handler and carrying facts along would cost as much as the answer itself.
//!
//! The routes of these operations exist all the same and call the same code; they are what the document describes.

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::answer::{Reading, view};
use super::{App, Problem, SignedInGuest};
use crate::cabinet::{self, Shown, ViewError, Wish};
use crate::clock::Deadline;
use crate::model::Guest;

/// A view whose whole question is who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuickView {
    Home,
    Profile,
    Balance,
    /// The first page as most guests ask for it.
    Transactions,
    Coupons,
}

impl QuickView {
    /// The view of an operation, by its `operationId`.
    pub fn of_operation(id: &str) -> Option<Self> {
        match id {
            "getHome" => Some(Self::Home),
            "getProfile" => Some(Self::Profile),
            "getBalance" => Some(Self::Balance),
            "listTransactions" => Some(Self::Transactions),
            "listCoupons" => Some(Self::Coupons),
            _ => None,
        }
    }

    /// Whether a request asks for nothing but the view.
    pub fn is_asked_plainly(head: &Parts) -> bool {
        head.method == Method::GET && head.uri.query().is_none()
    }

    /// The answer.
    pub async fn answer(self, app: &App, headers: &HeaderMap, deadline: Deadline) -> Response {
        let answered = self.read(app, headers, deadline).await;
        answered.unwrap_or_else(IntoResponse::into_response)
    }

    async fn read(self, app: &App, headers: &HeaderMap, deadline: Deadline) -> Result<Response, Problem> {
        let guest = SignedInGuest::of(app, headers).await?.guest;
        let reading = Reading::of(headers, deadline);
        Ok(view(self.shown(app, &guest, reading.wish).await?, &reading))
    }

    /// The view as the guest may see it now.
    pub async fn shown(self, app: &App, guest: &Guest, wish: Wish) -> Result<Shown, ViewError> {
        let cabinet = &app.cabinet;
        match self {
            // In a box of its own: three futures side by side are larger than all the others.
            Self::Home => Box::pin(cabinet.home(guest, wish)).await,
            Self::Profile => cabinet.profile(guest, wish).await,
            Self::Balance => cabinet.balance(guest, wish).await,
            Self::Transactions => cabinet.transactions(guest, &cabinet::Query::default(), wish).await,
            Self::Coupons => cabinet.coupons(guest, wish).await,
        }
    }
}
