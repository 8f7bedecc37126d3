//! Everything proven from outside, in one binary: each file is named after what it proves.

mod bad_days;
mod configuration;
mod delivery_calls;
mod delivery_gateways;
mod delivery_outbox;
mod delivery_reports;
mod doctor;
mod edges;
mod guest_views;
mod house;
mod partner;
mod partner_model;
mod sandbox;
mod sign_in;
mod site;
mod support;
