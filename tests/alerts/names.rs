//! Rules and dashboards name only metrics that the program has.

use std::collections::BTreeSet;

/// Metrics named in a text.
fn named_in(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("cabinet_"))
        .collect()
}

#[test]
fn rules_and_dashboard_name_metrics_that_exist() {
    let described = named_in(include_str!("../../src/telemetry.rs"));
    for text in [
        include_str!("../../docs/alerts.yml"),
        include_str!("../../docs/grafana.json"),
    ] {
        for name in named_in(text) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            assert!(described.contains(base), "{name}");
        }
    }
}
