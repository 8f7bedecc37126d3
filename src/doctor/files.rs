//! Who else on this machine can read what holds secrets.

use super::{Mark, Report};
use crate::config::{Config, read_by_others};

pub(super) fn look(config: &Config, report: &mut Report<'_>) {
    for (file, mode) in read_by_others(&config.secret_files) {
        let file = file.display();
        report.add(
            Mark::Look,
            format!("{file}: в файле секреты, а читать его может каждый на этой машине ({mode}); chmod 600 {file}"),
            format!("{file}: holds secrets, and everybody on this machine can read it ({mode}); chmod 600 {file}"),
        );
    }
}
