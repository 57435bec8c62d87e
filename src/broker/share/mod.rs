//! What a shard does for share groups (KIP-932): it keeps what share coordinators keep (`states`), leads
//! share-partitions (`partitions`), and serves members (`fetch`, `acknowledge`) and administrators (`offsets`).

pub mod acknowledge;
pub mod coordinators;
pub mod fetch;
pub mod offsets;
pub mod partitions;
mod persister;
pub mod placed;
mod pruning;
mod reading;
pub mod sessions;
mod states;
#[cfg(test)]
mod tests;
