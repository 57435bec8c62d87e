//! Server-side assignors of consumer groups (KIP-848) and share groups (KIP-932): which member gets which partitions. Pure.
//!
//! The caller makes an [`Assigning`], [adds](Assigning::add) the members in an order of its own (by id, so that the
//! same group always gives the same assignment), calls [`Assigning::step`] with as many steps as it has at hand until
//! fewer are taken, and takes the assignments, in the order of the members. [`assign`] does all of that in one go.
//! Adding a member and taking the assignments cost nothing that grows with topics or partitions: what is
//! subscribed to and what was assigned are shared, not copied. A member whose assignment does not change gets the
//! very [`Arc`](std::sync::Arc) that it brought, so [`Arc::ptr_eq`](std::sync::Arc::ptr_eq) says who is to be written.
//!
//! What holds of every assignment: each partition of a topic that somebody subscribes to has exactly one owner, who
//! subscribes to the topic; of `simple`, where partitions are shared, one at least. Topics that do not exist are left out.
//!
//! Racks are not looked at, as in Kafka since 3.8: KAFKA-16694 took them out of the server-side assignors, and
//! what would bring them back (KAFKA-19909) is not part of 4.3.

mod balance;
mod holdings;
mod machine;
mod range;
mod simple;
mod spec;
mod subscriptions;
#[cfg(test)]
mod tests;
mod uniform;

pub use machine::{Assigning, assign};
pub use spec::{Assignment, Assignor, MemberSpec, Topics};
