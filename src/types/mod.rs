//! Vocabulary that everything shares: ids, error codes, exit codes, topic settings, numbers drawn from a seed,
//! a table by number.

mod compression;
pub mod config_def;
pub mod config_table;
pub mod error;
pub mod exit;
mod feature;
pub mod group_config;
pub mod ids;
pub mod ip_limits;
mod now;
pub mod principal;
pub mod rng;
mod share_reset;
pub mod table;
mod throttled_replicas;
pub mod topic_config;
pub mod topic_name;

pub use compression::{Codec, Compression};
pub use error::ErrorCode;
pub use feature::{FeatureRange, FeatureRanges};
pub use group_config::{GroupConfig, ShareConfig};
pub use ids::{TopicId, TopicPartition};
pub use now::Now;
pub use principal::Principal;
pub use rng::Rng;
pub use share_reset::ShareReset;
pub use table::Table;
pub use throttled_replicas::ThrottledReplicas;
pub use topic_config::{BrokerConfigs, TopicConfig};
