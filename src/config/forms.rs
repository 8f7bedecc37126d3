//! The forms in which a ProBonus says "no such guest" and "done" without a word that is sure: which of them are believed.

use super::reader::{Problems, Section};

/// A form in which an answer says that there is no such guest, or no such check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentForm {
    /// 404 with JSON that speaks about a guest and not about an address.
    NotFound,
    /// 404 with nothing in it: a web server says the same about an address.
    NotFoundEmpty,
    /// 404 with a page or a text: so does a web server or a proxy.
    NotFoundPage,
    /// 204.
    NoContent,
    /// 200 with an empty body.
    Empty,
    /// 200 with `null`, also inside an envelope.
    Null,
    /// 200 with `{}`, also inside an envelope.
    Object,
    /// 200 with `[]`, also inside an envelope.
    Array,
    /// 200 with a body that tells a refusal, whatever it is refused for.
    Refusal,
}

/// A form in which a write is answered that went well and has nothing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneForm {
    /// 200, 201 or 204 with an empty body.
    Empty,
    /// `{}`.
    Object,
    /// `null`.
    Null,
    /// A bare number above nothing: an id, or how many rows were changed.
    Number,
}

/// Which forms are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forms {
    /// `absent`: for guests and checks (`not_found`, `no_content`, `empty`, `null`, `object`, `array`).
    pub absent: Vec<AbsentForm>,
    /// `done`: for writes (`empty`, `object`).
    pub done: Vec<DoneForm>,
}

impl AbsentForm {
    /// All of them with their names in configuration.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("not_found", Self::NotFound),
        ("not_found_empty", Self::NotFoundEmpty),
        ("not_found_page", Self::NotFoundPage),
        ("no_content", Self::NoContent),
        ("empty", Self::Empty),
        ("null", Self::Null),
        ("object", Self::Object),
        ("array", Self::Array),
        ("refusal", Self::Refusal),
    ];

    /// Its name in configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(_, form)| *form == self);
        named.map_or("", |(name, _)| name)
    }
}

impl DoneForm {
    const NAMED: [(&'static str, Self); 4] = [
        ("empty", Self::Empty),
        ("object", Self::Object),
        ("null", Self::Null),
        ("number", Self::Number),
    ];
}

impl Default for Forms {
    fn default() -> Self {
        use AbsentForm::{Array, Empty, NoContent, NotFound, Null, Object};
        Self {
            absent: vec![NotFound, NoContent, Empty, Null, Object, Array],
            // HTTP itself calls an empty 200, 201 and 204 to a POST a success, and it is what .NET's `Ok()`, `NoContent()`, `Ok(new {})`
            // and a method without a result make; whatever went wrong there is told by a status or a body. `null` is no such word: it is
            // what a method with a result makes of having none. Whoever has seen an empty answer lie leaves it out: then it is settled
            // by reading.
            done: vec![DoneForm::Empty, DoneForm::Object],
        }
    }
}

impl Forms {
    pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Self {
        let usual = Self::default();
        Self {
            absent: chosen(section, "absent", &AbsentForm::NAMED, problems).unwrap_or(usual.absent),
            done: chosen(section, "done", &DoneForm::NAMED, problems).unwrap_or(usual.done),
        }
    }
}

/// The named forms of a list; `None` when it is not given.
fn chosen<T: Copy>(
    section: &mut Section,
    key: &str,
    named: &[(&'static str, T)],
    problems: &mut Problems,
) -> Option<Vec<T>> {
    let mut forms = Vec::new();
    for name in section.list(key, problems)? {
        if let Some((_, form)) = named.iter().find(|(known, _)| *known == name) {
            forms.push(*form);
        } else {
            let known: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
            problems.add(
                &section.name(key),
                format_args!("{name:?} must be one of: {}", known.join(", ")),
            );
        }
    }
    Some(forms)
}
