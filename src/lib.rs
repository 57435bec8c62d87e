//! Klamm: a Kafka-compatible broker for Linux, thread per core on `io_uring`.
//!
//! Imports point downward only: `main → cli, http → shard → broker → {replica, group, transaction, share, controller} → types`;
//! `broker → storage → wire, types`; the pure folders never import each other. `tests/tidy.rs` holds it.
//! Where the lint below is denied, code is pure: time and randomness are arguments (`clippy.toml`).

#[deny(clippy::disallowed_methods)]
pub mod broker;
pub mod cli;
pub mod client;
pub mod config;
#[deny(clippy::disallowed_methods)]
pub mod controller;
#[deny(clippy::disallowed_methods)]
pub mod group;
pub mod http;
pub mod memory;
#[deny(clippy::disallowed_methods)]
pub mod metrics;
#[deny(clippy::disallowed_methods)]
pub mod replica;
pub mod shard;
#[deny(clippy::disallowed_methods)]
pub mod share;
#[deny(clippy::disallowed_methods)]
pub mod storage;
#[deny(clippy::disallowed_methods)]
pub mod transaction;
#[deny(clippy::disallowed_methods)]
pub mod types;
#[deny(clippy::disallowed_methods)]
pub mod wire;
