//! The loyalty programme as guests see it: name, unit, restaurants, levels, form, documents. All of it is public.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::reader::{Problems, Section};
use crate::model::{Money, text};

/// A text in Russian and English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bilingual {
    /// Russian.
    pub ru: String,
    /// English.
    pub en: String,
}

/// `[program]`.
#[derive(Clone, Debug)]
pub struct ProgramConfig {
    /// `name` (`Бонусная программа` / `Bonus programme`).
    pub name: Bilingual,
    /// `unit.scale`: minor units in one shown unit: 100 shows kopecks as whole bonuses (`100`).
    pub unit_scale: u32,
    /// `unit.forms_ru`: one, few, many (`бонус, бонуса, бонусов`); `unit.forms_en`: one, many (`bonus, bonuses`).
    pub unit_forms_ru: Vec<String>,
    /// See `unit_forms_ru`.
    pub unit_forms_en: Vec<String>,
    /// `restaurants`: list of `{code, name, address, time_zone}`.
    pub restaurants: Vec<Restaurant>,
    /// `levels`: list of `{name, from_turnover}` in kopecks, ascending.
    pub levels: Vec<ProgramLevel>,
    /// `form`: the questionnaire; the usual fields by default.
    pub form: Vec<FormField>,
    /// `documents`: what a guest agrees to when signing up.
    pub documents: Vec<Document>,
    /// `theme.*`: CSS colours and the logo's address for the built-in web cabinet.
    pub theme: BTreeMap<String, String>,
    /// `card_identifier`: what the till reads from the card: `phone` or `card` (the first identifier, else the phone) (`phone`).
    pub card_identifier: CardIdentifier,
}

/// What the till reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardIdentifier {
    /// The guest's phone, digits only.
    Phone,
    /// The first identifier ProBonus knows, else the phone.
    Card,
}

/// A restaurant of the programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restaurant {
    /// Its code in ProBonus (Settings – Restaurants).
    #[schema(example = "1")]
    pub code: String,
    /// Its name.
    #[schema(example = "На Мясницкой")]
    pub name: String,
    /// Its address.
    pub address: Option<String>,
    /// Its IANA time zone.
    #[schema(example = "Europe/Moscow")]
    pub time_zone: String,
}

/// A level of the programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProgramLevel {
    /// Its name.
    #[schema(example = "Золотой")]
    pub name: String,
    /// The turnover from which it is given, in kopecks.
    pub from_turnover: Money,
}

/// A field of the questionnaire. Names are fixed; what is asked and what may be edited is the operator's choice.
#[derive(Clone, Debug)]
pub struct FormField {
    /// Which field.
    pub name: FieldName,
    /// Must be given when signing up and cannot be cleared.
    pub required: bool,
    /// May be edited later.
    pub editable: bool,
    /// Longest text in characters, for text fields.
    pub max_length: Option<u32>,
    /// `pattern`: a regular expression that the whole text must match, for text fields.
    pub pattern: Option<regex::Regex>,
    /// The expression as it was configured.
    pub pattern_text: Option<String>,
    /// What it is called on the page.
    pub label: Bilingual,
}

/// The questionnaire's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FieldName {
    FirstName,
    LastName,
    MiddleName,
    Birthday,
    Gender,
    Email,
}

impl FieldName {
    /// All of them, in the order they are asked.
    pub const ALL: [Self; 6] = [
        Self::FirstName,
        Self::LastName,
        Self::MiddleName,
        Self::Birthday,
        Self::Gender,
        Self::Email,
    ];

    /// The name in bodies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::MiddleName => "middle_name",
            Self::Birthday => "birthday",
            Self::Gender => "gender",
            Self::Email => "email",
        }
    }

    /// The kind of value: `text`, `date`, `choice` or `email`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::FirstName | Self::LastName | Self::MiddleName => "text",
            Self::Birthday => "date",
            Self::Gender => "choice",
            Self::Email => "email",
        }
    }

    /// Whether an operator who writes `type = "<word>"` means this field's kind: other systems have other words for the same.
    fn is_called(self, word: &str) -> bool {
        let words: &[&str] = match self {
            Self::FirstName | Self::LastName | Self::MiddleName => &["text", "string", "name"],
            Self::Birthday => &["date", "day", "birthday"],
            Self::Gender => &["choice", "enum", "select", "radio", "gender"],
            Self::Email => &["email", "text", "string"],
        };
        words.contains(&word)
    }

    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::FirstName => ("Имя", "First name"),
            Self::LastName => ("Фамилия", "Last name"),
            Self::MiddleName => ("Отчество", "Middle name"),
            Self::Birthday => ("День рождения", "Birthday"),
            Self::Gender => ("Пол", "Gender"),
            Self::Email => ("Эл. почта", "E-mail"),
        }
    }
}

/// A document a guest agrees to, or may.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// The version that is agreed to.
    pub version: String,
    /// What it is called.
    pub title: Bilingual,
    /// Where it is read.
    pub url: String,
    /// Whether signing up needs it.
    pub required: bool,
}

impl ProgramConfig {
    pub(super) fn read(mut section: Section, default_zone: &str, problems: &mut Problems) -> Self {
        let mut unit = section.section("unit", problems);
        let unit_scale = u32::try_from(unit.number("scale", 100, 1..=100_000, problems)).unwrap_or(100);
        let (unit_forms_ru, unit_forms_en) = unit_forms(&mut unit, problems);
        unit.finish(problems);
        let program = Self {
            name: bilingual(
                &mut section,
                "name",
                ("Бонусная программа", "Bonus programme"),
                problems,
            ),
            unit_scale,
            unit_forms_ru,
            unit_forms_en,
            restaurants: restaurants(&mut section, default_zone, problems),
            levels: levels(&mut section, problems),
            form: form(&mut section, problems),
            documents: documents(&mut section, problems),
            theme: theme(section.section("theme", problems), problems),
            card_identifier: super::probonus::choice(
                &mut section,
                "card_identifier",
                &[("phone", CardIdentifier::Phone), ("card", CardIdentifier::Card)],
                problems,
            ),
        };
        section.finish(problems);
        program
    }
}

/// `key` (both languages), a table `key = { ru, en }`, or `key_ru` and `key_en`.
fn bilingual(section: &mut Section, key: &str, default: (&str, &str), problems: &mut Problems) -> Bilingual {
    let (ru, en) = if section.has_table(key) {
        let mut table = section.section(key, problems);
        let texts = (table.text("ru", problems), table.text("en", problems));
        table.finish(problems);
        texts
    } else {
        let both = section.text(key, problems);
        let ru = section.text(&format!("{key}_ru"), problems).or_else(|| both.clone());
        (ru, section.text(&format!("{key}_en"), problems).or(both))
    };
    let (ru, en) = (ru.clone().or_else(|| en.clone()), en.or(ru));
    Bilingual {
        ru: ru.unwrap_or_else(|| default.0.into()),
        en: en.unwrap_or_else(|| default.1.into()),
    }
}

/// `forms` (Russian) or a table `forms = { ru, en }`, or `forms_ru` and `forms_en`; fewer forms than the language has: the last one serves
/// for the rest.
fn unit_forms(unit: &mut Section, problems: &mut Problems) -> (Vec<String>, Vec<String>) {
    const RU: &[&str] = &["бонус", "бонуса", "бонусов"];
    const EN: &[&str] = &["bonus", "bonuses"];
    if unit.has_table("forms") {
        let mut table = unit.section("forms", problems);
        let both = (
            forms(&mut table, "ru", RU, problems),
            forms(&mut table, "en", EN, problems),
        );
        table.finish(problems);
        return both;
    }
    let key = if unit.has("forms") { "forms" } else { "forms_ru" };
    (forms(unit, key, RU, problems), forms(unit, "forms_en", EN, problems))
}

fn forms(section: &mut Section, key: &str, default: &[&str], problems: &mut Problems) -> Vec<String> {
    let given = section.list(key, problems);
    let mut forms = given.unwrap_or_else(|| default.iter().map(|&form| form.into()).collect());
    if !(1..=default.len()).contains(&forms.len()) {
        problems.add(
            &section.name(key),
            format_args!("must list up to {} forms, as in: {}", default.len(), default.join(", ")),
        );
    }
    forms.resize(default.len(), forms.last().cloned().unwrap_or_default());
    forms
}

fn restaurants(section: &mut Section, default_zone: &str, problems: &mut Problems) -> Vec<Restaurant> {
    let mut restaurants = Vec::new();
    for mut entry in section.sections("restaurants", problems) {
        let restaurant = Restaurant {
            code: entry.required_text("code", "the restaurant's code in ProBonus", problems),
            name: entry.required_text("name", "what guests call it", problems),
            address: entry.text("address", problems),
            time_zone: entry.text("time_zone", problems).unwrap_or_else(|| default_zone.into()),
        };
        if jiff::tz::TimeZone::get(&restaurant.time_zone).is_err() {
            problems.add(
                &entry.name("time_zone"),
                "must be an IANA time zone such as Europe/Moscow",
            );
        }
        entry.finish(problems);
        restaurants.push(restaurant);
    }
    restaurants
}

fn levels(section: &mut Section, problems: &mut Problems) -> Vec<ProgramLevel> {
    let mut levels: Vec<ProgramLevel> = Vec::new();
    for mut entry in section.sections("levels", problems) {
        let name = entry.required_text("name", "the level's name", problems);
        let from = entry.number("from_turnover", 0, 0..=Money::MAX.minor().unsigned_abs(), problems);
        let from_turnover = i64::try_from(from)
            .ok()
            .and_then(Money::from_minor)
            .unwrap_or(Money::ZERO);
        if levels.iter().any(|other| other.from_turnover == from_turnover) {
            problems.add(&entry.name("from_turnover"), "is that of another level, too");
        }
        entry.finish(problems);
        levels.push(ProgramLevel { name, from_turnover });
    }
    levels.sort_by_key(|level| level.from_turnover);
    levels
}

fn form(section: &mut Section, problems: &mut Problems) -> Vec<FormField> {
    let entries = section.sections("form", problems);
    if entries.is_empty() {
        return FieldName::ALL.into_iter().map(usual_field).collect();
    }
    let mut fields: Vec<FormField> = Vec::new();
    for mut entry in entries {
        let name = entry.required_text("name", "one of the questionnaire's fields", problems);
        let Some(name) = FieldName::ALL.into_iter().find(|field| field.as_str() == name) else {
            problems.add(
                &entry.name("name"),
                "must be one of: first_name, last_name, middle_name, birthday, gender, email",
            );
            continue;
        };
        if fields.iter().any(|field| field.name == name) {
            problems.add(&entry.name("name"), "stands in the form twice");
        }
        let usual = usual_field(name);
        // Names are composed before they are judged, and so is what judges them.
        let pattern_text = entry.text("pattern", problems).filter(|_| usual.max_length.is_some());
        let pattern_text = pattern_text.map(|pattern| text::nfc(&pattern));
        let pattern = pattern(&entry.name("pattern"), pattern_text.as_deref(), problems);
        if let Some(kind) = entry.text("type", problems).filter(|kind| !name.is_called(kind)) {
            let what = format_args!("cannot be {kind}: {} is {}", name.as_str(), name.kind());
            problems.add(&entry.name("type"), what);
        }
        let length = entry.number("max_length", usual.max_length.unwrap_or(0).into(), 0..=1000, problems);
        fields.push(FormField {
            name,
            required: entry.flag("required", usual.required, problems),
            editable: entry.flag("editable", usual.editable, problems),
            max_length: usual.max_length.and(u32::try_from(length).ok()),
            pattern,
            pattern_text,
            label: bilingual(&mut entry, "label", name.labels(), problems),
        });
        entry.finish(problems);
    }
    fields
}

/// As browsers read the attribute of the same name: over the whole text.
fn pattern(name: &str, text: Option<&str>, problems: &mut Problems) -> Option<regex::Regex> {
    let whole = regex::Regex::new(&format!("^(?:{})$", text?)).ok();
    if whole.is_none() {
        problems.add(name, "must be a regular expression");
    }
    whole
}

fn usual_field(name: FieldName) -> FormField {
    let (ru, en) = name.labels();
    FormField {
        name,
        // Not everybody has a last name.
        required: name == FieldName::FirstName,
        editable: true,
        max_length: match name {
            FieldName::FirstName | FieldName::LastName | FieldName::MiddleName => Some(100),
            FieldName::Email => Some(254),
            FieldName::Birthday | FieldName::Gender => None,
        },
        pattern: None,
        pattern_text: None,
        label: Bilingual {
            ru: ru.into(),
            en: en.into(),
        },
    }
}

fn documents(section: &mut Section, problems: &mut Problems) -> Vec<Document> {
    let mut documents = Vec::new();
    for mut entry in section.sections("documents", problems) {
        documents.push(Document {
            id: entry.required_text("id", "a short name such as personal_data", problems),
            version: entry.required_text("version", "the version that is agreed to", problems),
            title: bilingual(&mut entry, "title", ("Документ", "Document"), problems),
            url: entry.required_text("url", "where it is read", problems),
            required: entry.flag("required", true, problems),
        });
        entry.finish(problems);
    }
    documents
}

fn theme(mut section: Section, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut theme = BTreeMap::new();
    for key in ["accent", "accent_dark", "background", "background_dark", "logo_url"] {
        if let Some(value) = section.text(key, problems) {
            let sane = value.len() <= 200
                && value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "#(),.%/:_- ".contains(c));
            if !sane {
                problems.add(&section.name(key), "must be a CSS colour or an address");
            }
            theme.insert(key.to_owned(), value);
        }
    }
    section.finish(problems);
    theme
}
