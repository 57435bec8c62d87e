//! Share groups (KIP-932): their membership. It is that of consumer groups (`consumer`), with records of its own, and
//! simpler: partitions are shared, so a member has its target at once.
//!
//! Partitions are assigned when the share coordinator has a state of them, which begins before anybody reads them: the
//! answer to a heartbeat names those that have none, the coordinator's owner has their states begun and says so
//! ([`ShareInitialized`](request::ShareInitialized)).

mod heartbeat;
pub mod records;
pub mod request;
pub mod response;
#[cfg(test)]
mod tests;
pub mod topics;
pub mod view;
