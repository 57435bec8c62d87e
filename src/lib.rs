//! Klamm: a Kafka-compatible broker for Linux, thread per core on `io_uring`.
//!
//! Imports point downward only: `main → cli → shard → api → {partition, controller} → types`;
//! `storage → wire, types`; the pure folders never import each other. `tests/tidy.rs` holds it.

pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod controller;
pub mod partition;
pub mod shard;
pub mod storage;
pub mod types;
pub mod wire;
