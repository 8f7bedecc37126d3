//! Metrics recorded minute by minute, and the rules evaluated over them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// The job that scrapes the program, as the rules know it.
const JOB: &str = "guest-cabinet";

/// Scraped series: one value a minute, `None` where a scrape had none.
#[derive(Default)]
pub struct Recording {
    series: BTreeMap<String, Vec<Option<f64>>>,
    minutes: usize,
}

impl Recording {
    /// Adds one minute's scrape of `/metrics`.
    pub fn add_scrape(&mut self, text: &str) {
        self.add_value(&format!("up{{job=\"{JOB}\"}}"), 1.0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let value = value.parse().expect("a metric's value is a number");
            self.add_value(series, value);
        }
        self.minutes += 1;
    }

    /// Adds one minute in which nobody answered.
    pub fn add_silence(&mut self) {
        self.add_value(&format!("up{{job=\"{JOB}\"}}"), 0.0);
        self.minutes += 1;
    }

    fn add_value(&mut self, series: &str, value: f64) {
        let values = self.series.entry(series.to_owned()).or_default();
        values.resize(self.minutes, None);
        values.push(Some(value));
    }

    /// Asserts that `alert` fires in every one of `minutes`.
    pub fn assert_fires(&self, alert: &str, minutes: Range<usize>) {
        self.assert_alert(alert, minutes, 1);
    }

    /// Asserts that `alert` fires in none of `minutes`.
    pub fn assert_silent(&self, alert: &str, minutes: Range<usize>) {
        self.assert_alert(alert, minutes, 0);
    }

    fn assert_alert(&self, alert: &str, minutes: Range<usize>, firing: u8) {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts.yml");
        let mut replay = format!(
            "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n",
            rules.display()
        );
        for (series, values) in &self.series {
            let values: Vec<String> = values
                .iter()
                .map(|value| value.map_or_else(|| "_".to_owned(), |value| value.to_string()))
                .collect();
            let _ = writeln!(
                replay,
                "      - series: '{series}'\n        values: '{}'",
                values.join(" ")
            );
        }
        replay.push_str("    promql_expr_test:\n");
        for minute in minutes {
            let expr =
                format!(r#"clamp_max(count(ALERTS{{alertname="{alert}", alertstate="firing"}}), 1) or vector(0)"#);
            let _ = writeln!(
                replay,
                "      - expr: '{expr}'\n        eval_time: {minute}m\n        exp_samples: [{{ labels: '{{}}', value: {firing} }}]"
            );
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("replay.yml");
        std::fs::write(&file, replay).expect("the replay is written");
        let told = Command::new("promtool").args(["test", "rules"]).arg(&file).output();
        let told = told.expect("promtool runs (Debian package prometheus)");
        let text = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{alert}: {text}");
    }
}
