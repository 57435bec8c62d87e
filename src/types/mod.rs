//! Vocabulary that everything shares: ids, error codes, topic settings.

pub mod config_def;
pub mod config_table;
pub mod error;
pub mod ids;
pub mod ip_limits;
pub mod principal;
pub mod topic_config;
pub mod topic_name;

pub use error::ErrorCode;
pub use ids::{TopicId, TopicPartition};
pub use principal::Principal;
pub use topic_config::{BrokerConfigs, TopicConfig};
