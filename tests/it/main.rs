//! Everything proven from outside, in one binary: each file is named after what it proves.

mod bad_days;
mod configuration;
mod doctor;
mod edges;
mod guest_views;
mod house;
mod partner;
mod sign_in;
mod site;
mod support;
