//! Replication: partitions that have replicas on other nodes.
//!
//! A follower's shard dials the shard of the leader's node that owns the partition, one link for each pair of
//! shards, and subscribes to what it follows there (`follow`, with its state in `streams`). The leader answers
//! where the two logs agree, which may take some questions, and then pushes frames as its turns make them, before
//! its own write has ended (`lead`, `feeds`). The follower stores them as they are, and says how far it is durable,
//! which moves the leader's high watermark. Who is behind gets frames that are read, in the order of their links,
//! as far as the follower has granted bytes for.
//!
//! `isr` proposes to the controller who is in sync. `repair` has what is damaged copied anew.
//!
//! Limits of a reassignment (KIP-73) hold back what catches up, and nothing of who is in sync: a leader does not read for
//! such a follower while its own rate is used up; a follower stops the streams of what it is not in sync for, and
//! begins them anew later (`throttle`).
//!
//! What is checked before anything is believed: a link is of a node's registered incarnation; a subscription names
//! the epoch of its leader; frames and watermarks are taken only of a stream that the leader of the present epoch has
//! begun.

mod effects;
pub mod feeds;
mod follow;
mod isr;
mod lead;
pub mod logs;
pub mod repair;
pub mod streams;
pub mod throttle;
