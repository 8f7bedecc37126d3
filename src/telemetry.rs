//! Logs, metrics and traces: set up once per process, before anything else runs.
//!
//! Logs are structured (JSON; pretty in the demo) and never hold a phone, a code, a token or a credential: whoever logs a thing logs
//! its masked or keyed form. Lines are written by a thread of their own: whoever reads them slowly holds up nobody, and what does not fit
//! is dropped and counted. Traces go out by OTLP when configured and cost nothing when not.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::TelemetryConfig;

/// Bounds of the latency histograms, in seconds.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What each metric says; read by people who look at `/metrics`. A test knows of every one that is missing.
const MEANINGS: &[(&str, &str)] = &[
    (
        "cabinet_bulkhead_queue",
        "Calls to ProBonus ahead of one that waits for its turn",
    ),
    (
        "cabinet_clock_offset_seconds",
        "This machine's clock less the time that the store's rows are written by",
    ),
    ("cabinet_codes_seconds", "Time a gateway takes to accept a message"),
    ("cabinet_codes_sent_total", "Messages handed to gateways, by outcome"),
    (
        "cabinet_credential_refused",
        "0: ProBonus accepts our credential; more: as such or for so many operations it does not",
    ),
    (
        "cabinet_connections_refused_total",
        "Connections closed at once because as many as may be are open from their address",
    ),
    ("cabinet_gateway_balance", "Money left at the gateway, in its currency"),
    ("cabinet_gateway_left_out", "1: the gateway fails and is left out"),
    (
        "cabinet_http_requests_total",
        "Answers by operation and class of status",
    ),
    ("cabinet_http_seconds", "Time from a request's head to its answer"),
    (
        "cabinet_limits_exhausted_total",
        "Requests turned away by a limit of signing in",
    ),
    (
        "cabinet_log_lines_dropped_total",
        "Log lines lost because their reader is too slow",
    ),
    ("cabinet_partner_calls_total", "Partners' orders by what became of them"),
    ("cabinet_partner_operations", "Partners' orders that are not settled"),
    ("cabinet_problems_total", "Problem documents answered, by their code"),
    ("cabinet_reports_total", "Reports of gateways about messages"),
    ("cabinet_retries_left", "Second tries that the budget still has"),
    (
        "cabinet_rows_removed_total",
        "Rows removed from the store because they are over",
    ),
    (
        "cabinet_account_changes_total",
        "Numbers behind which there is another account than before, or none any more",
    ),
    ("cabinet_sign_in_total", "Events of signing in"),
    ("cabinet_store_seconds", "Time of one statement of the store"),
    (
        "cabinet_upstream_rejection_share",
        "Share of the group's calls to ProBonus that are turned away here: 0 none, 1 all but one a second",
    ),
    (
        "cabinet_upstream_odd_values_total",
        "Values of ProBonus that could not be read and cost only their own field",
    ),
    (
        "cabinet_untrusted_forwarded_total",
        "Requests with a forwarding header from an address that is no trusted proxy",
    ),
    (
        "cabinet_upstream_requests_total",
        "Calls to ProBonus by operation and outcome",
    ),
    (
        "cabinet_upstream_retries_total",
        "Reads of ProBonus that were tried a second time",
    ),
    (
        "cabinet_upstream_several_accounts_total",
        "Phones of which ProBonus has several accounts, each time one is asked for",
    ),
    ("cabinet_upstream_seconds", "Time of one call to ProBonus"),
    (
        "cabinet_upstream_throttled_total",
        "Calls to ProBonus that were not made because it fails too many of the group's",
    ),
    ("cabinet_view_answers_total", "Views by how they came to be shown"),
    ("cabinet_views_not_kept_total", "Views that the store did not get"),
    ("cabinet_watched_guests", "Guests whose open page is told of changes"),
];

/// Lines that wait to be written; more are dropped.
const LINES: usize = 65_536;

/// Lines are written in pieces of this many bytes while there are more of them.
const PIECE: usize = 64 * 1024;

/// What must live as long as the process; dropping it writes the last lines and sends the last traces.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    _lines: WorkerGuard,
}

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            let _ = traces.shutdown();
        }
    }
}

/// Sets up logs and traces. To be called once, outside the asynchronous runtime.
///
/// # Errors
/// One plain line when the filter or the traces' address is of no use.
pub fn start(config: &TelemetryConfig) -> Result<Telemetry, String> {
    let filter = filter(&config.log)?;
    let traces = config.otlp_url.as_ref().map(|url| exporter(url.as_str())).transpose()?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .thread_name("log")
        .finish(std::io::BufWriter::with_capacity(PIECE, std::io::stderr()));
    let _ = DROPPED.set(writer.error_counter());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if config.json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .compact()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(writer)
            .boxed()
    };
    let spans = traces
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("guest-cabinet")));
    // A second call (tests) leaves the first set-up in place.
    let _ = Registry::default().with(lines).with(spans).with(filter).try_init();
    Ok(Telemetry { traces, _lines: guard })
}

/// What is logged. The library that reads phones tells its traces which ones it reads: whatever is asked for, it is not heard.
fn filter(log: &str) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(log)
        .map_err(|_| "telemetry.log: must be a filter such as info or info,guest_cabinet=debug".to_owned())?;
    Ok(filter.add_directive("rlibphonenumber=off".parse().expect("a constant directive")))
}

fn exporter(url: &str) -> Result<SdkTracerProvider, String> {
    let refused = |_| "telemetry.otlp_url: no traces can be sent there".to_owned();
    let client = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(url)
        .with_headers(std::collections::HashMap::new());
    let exporter = client.build().map_err(refused)?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name("guest-cabinet")
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// The metrics as Prometheus reads them.
#[must_use]
pub fn render(metrics: &PrometheusHandle) -> String {
    if let Some(dropped) = DROPPED.get() {
        metrics::counter!("cabinet_log_lines_dropped_total").absolute(dropped.dropped_lines() as u64);
    }
    metrics.render()
}

/// The process's metrics; the first call installs the recorder.
///
/// # Panics
/// When another recorder was installed before.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let handle = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
                .expect("there are bounds")
                .install_recorder()
                .expect("nobody else installs a recorder");
            for &(name, meaning) in MEANINGS {
                match name.rsplit('_').next() {
                    Some("total") => metrics::describe_counter!(name, meaning),
                    Some("seconds" | "queue") => metrics::describe_histogram!(name, meaning),
                    _ => metrics::describe_gauge!(name, meaning),
                }
            }
            handle
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_phones_is_never_heard() {
        for asked in ["trace", "info,rlibphonenumber=trace"] {
            let filter = filter(asked).expect("a filter").to_string();
            assert!(
                filter.contains("rlibphonenumber=off") && !filter.contains("rlibphonenumber=trace"),
                "{filter}"
            );
        }
        assert!(filter("info=info=info").is_err());
    }
}
