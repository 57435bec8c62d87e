//! One file per Kafka API: what a request means, as pure functions of its body, its version and
//! the state that it is about.

pub mod admin;
pub mod alter_configs;
pub mod config_resource;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_topic_partitions;
pub mod incremental_alter_configs;
pub mod list_config_resources;
pub mod metadata;

#[cfg(test)]
mod testing;
