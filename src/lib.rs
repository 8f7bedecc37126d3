//! `guest-cabinet`: a restaurant guest's personal cabinet over ProBonus.
//!
//! Modules stand in the order in which a request meets them. Imports go one way:
//! `http → sign_in · cabinet · partner → delivery · probonus · store → model`; `clock`, `entropy`, `keys`, `retry_after`, `config` and `model`
//! import no room, the sandbox imports `model` at most, and only `app` sees all of them.

pub mod cli;

pub mod app;
pub mod demo;
pub mod doctor;

pub mod http;

pub mod cabinet;
pub mod partner;
pub mod sign_in;

pub mod delivery;
pub mod probonus;
pub mod store;

pub mod model;

pub mod sandbox;

pub mod clock;
pub mod config;
pub mod entropy;
pub mod keys;
pub mod retry_after;
pub mod telemetry;
