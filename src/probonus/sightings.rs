//! What is seen on the way to ProBonus that only an operator can mend: redirects, and heads that the HTTP library does not read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::operation::Operation;

/// A path with a longer run of digits than this may hold a phone and is not told.
const MOST_DIGITS: usize = 6;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Sightings(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    redirect: Option<Redirect>,
    unreadable_head: bool,
}

/// Where ProBonus sends whoever asks. Without query, user and whatever may be somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// The whole API is at another base address: what `probonus.url` should be.
    Base(String),
    /// To something else, often a page for signing in.
    Elsewhere(String),
}

impl Sightings {
    /// A request to `asked` was redirected.
    pub fn redirected(&self, operation: Operation, asked: &Url, location: Option<&str>) {
        let redirect = redirect_of(operation, asked, location.unwrap_or_default());
        let mut seen = self.lock();
        if seen.redirect.as_ref() == Some(&redirect) {
            return;
        }
        match &redirect {
            Redirect::Base(base) => tracing::error!(
                operation = operation.name(),
                event = "upstream_redirect",
                "ProBonus redirects: set probonus.url = \"{base}\""
            ),
            Redirect::Elsewhere(to) => tracing::error!(
                operation = operation.name(),
                event = "upstream_redirect",
                "ProBonus redirects to {to}, which is not its API: see to probonus.url and the credential"
            ),
        }
        seen.redirect = Some(redirect);
    }

    /// The head of an answer could not be read.
    pub fn unreadable_head(&self, operation: Operation) {
        let mut seen = self.lock();
        if !std::mem::replace(&mut seen.unreadable_head, true) {
            tracing::error!(
                operation = operation.name(),
                event = "upstream_unreadable_head",
                "the head of ProBonus' answer is not HTTP, or has too many headers"
            );
        }
    }

    /// The last redirect.
    pub fn redirect(&self) -> Option<Redirect> {
        self.lock().redirect.clone()
    }

    /// Whether any head could not be read.
    pub fn has_unreadable_head(&self) -> bool {
        self.lock().unreadable_head
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn redirect_of(operation: Operation, asked: &Url, location: &str) -> Redirect {
    let Ok(mut to) = asked.join(location) else {
        return Redirect::Elsewhere("an address that is none".into());
    };
    to.set_query(None);
    to.set_fragment(None);
    let _ = to.set_username("");
    let _ = to.set_password(None);
    let path = to.path().trim_end_matches('/').to_owned();
    let whole = path.to_ascii_lowercase();
    if let Some(base) = whole
        .strip_suffix(operation.path())
        .filter(|_| to.as_str() != bare(asked))
    {
        to.set_path(&path[..base.len()]);
        return Redirect::Base(to.as_str().trim_end_matches('/').to_owned());
    }
    let longest = path
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max()
        .unwrap_or(0);
    if longest > MOST_DIGITS {
        to.set_path("");
    }
    Redirect::Elsewhere(to.into())
}

fn bare(url: &Url) -> &str {
    url.as_str().split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_names_the_address_to_set_and_nobodys_phone() {
        let asked =
            Url::parse("http://probonus.local:6896/api/v0/accounts/find_by_phone?phone=79160000001").expect("a URL");
        let base = |text: &str| Redirect::Base(text.into());
        let elsewhere = |text: &str| Redirect::Elsewhere(text.into());
        for (location, redirect) in [
            (
                "https://probonus.local/api/v0/accounts/find_by_phone?phone=79160000001",
                base("https://probonus.local"),
            ),
            (
                "/bonus/api/v0/accounts/find_by_phone",
                base("http://probonus.local:6896/bonus"),
            ),
            ("https://u:p@h/API/V0/Accounts/Find_By_Phone/", base("https://h")),
            (
                "/Account/Login?ReturnUrl=79160000001",
                elsewhere("http://probonus.local:6896/Account/Login"),
            ),
            ("https://h/guests/79160000001#x", elsewhere("https://h/")),
            (
                "?phone=79160000001",
                elsewhere("http://probonus.local:6896/api/v0/accounts/find_by_phone"),
            ),
            ("http://[", elsewhere("an address that is none")),
        ] {
            assert_eq!(
                redirect_of(Operation::FindByPhone, &asked, location),
                redirect,
                "{location}"
            );
        }
    }
}
