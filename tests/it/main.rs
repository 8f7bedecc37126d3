//! Everything proven from outside, in one binary: each file is named after what it proves.

mod bad_days;
mod configuration;
mod contract;
mod crowds;
mod delivery_calls;
mod delivery_gateways;
mod delivery_outbox;
mod delivery_reports;
mod doctor;
mod edges;
mod events;
mod guest_views;
mod guest_writes;
mod house;
mod partner;
mod partner_dialects;
mod partner_model;
mod replicas;
mod sandbox;
mod sign_in;
mod sign_in_limits;
mod sign_in_outage;
mod sign_in_secrets;
mod sign_in_sessions;
mod site;
mod support;
