//! `guest-cabinet doctor`: says in plain words whether serving makes sense, line by line, with the setting that would change what is wrong.
//!
//! It looks at everything the server would use and changes nothing but the store's tables, as a start would. What it prints holds no
//! secret and nobody's data.

mod addresses;
mod files;
mod gateways;
mod manners;
mod probes;
mod proxies;
mod settling;
mod swagger;

use std::fmt;

use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::entropy::Entropy;

/// How a line turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// Serving makes sense, but somebody should look.
    Look,
    /// Serving makes no sense.
    Bad,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it turned out.
    pub mark: Mark,
    /// What it is about, in the operator's language.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Good => '✓',
            Mark::Look => '!',
            Mark::Bad => '✗',
        };
        write!(f, "{mark} {}", self.text)
    }
}

/// What the doctor is asked besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// The vendor's Swagger: a file or an address.
    pub swagger: Option<String>,
    /// An account with a few movements, to see what its history shows.
    pub account: Option<String>,
    /// The phone of a guest, to see how an account is told.
    pub phone: Option<String>,
    /// Whether to speak Russian.
    pub russian: bool,
}

/// The lines, as they come.
pub struct Report<'a> {
    russian: bool,
    lines: Vec<Line>,
    tell: &'a mut dyn FnMut(&Line),
}

impl Report<'_> {
    fn add(&mut self, mark: Mark, ru: impl Into<String>, en: impl Into<String>) {
        let line = Line {
            mark,
            text: if self.russian { ru.into() } else { en.into() },
        };
        (self.tell)(&line);
        self.lines.push(line);
    }
}

/// Examines and tells each line as it is known; `true` when serving makes sense.
pub async fn examine(
    config: Result<Config, ConfigError>,
    questions: &Questions,
    clock: Clock,
    entropy: Entropy,
    tell: &mut dyn FnMut(&Line),
) -> bool {
    let mut report = Report {
        russian: questions.russian,
        lines: Vec::new(),
        tell,
    };
    match config {
        Err(ConfigError(problems)) => {
            for problem in problems {
                report.add(Mark::Bad, problem.clone(), problem);
            }
        }
        Ok(config) => {
            report.add(Mark::Good, "настройки прочитаны", "the configuration is read");
            files::look(&config, &mut report);
            addresses::try_listening(&config, &mut report);
            proxies::look(&config, &mut report).await;
            probes::store(&config, &clock, &entropy, &mut report).await;
            gateways::ask(&config, &clock, &mut report).await;
            let answers = Box::pin(probes::probonus(&config, questions, &clock, &entropy, &mut report)).await;
            swagger::compare(&config, questions.swagger.as_deref(), answers, &mut report).await;
        }
    }
    let sense = report.lines.iter().all(|line| line.mark != Mark::Bad);
    if sense {
        report.add(Mark::Good, "запускать имеет смысл", "serving makes sense");
    } else {
        report.add(
            Mark::Bad,
            "запускать не имеет смысла: исправьте строки с ✗",
            "serving makes no sense: mend the lines marked ✗",
        );
    }
    sense
}
