//! Every alert rule over a whole outage: the program lives through it, its real metrics are replayed through the rules by Prometheus' own
//! `promtool`. A rule must fire while guests suffer, for as long as they do, and fall silent on good days.

#[path = "../it/support/mod.rs"]
mod support;

mod clock_apart;
mod gateway_outage;
mod names;
mod probonus_outage;
mod recording;
mod server_down;
