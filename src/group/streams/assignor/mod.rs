//! The assignor of streams groups (KIP-1071): which member has which tasks. Pure.
//!
//! The caller makes an [`Assigning`], [adds](Assigning::add) the members by their ids, ascending, so that the same group
//! always gives the same assignment, calls [`Assigning::step`] with as many steps as it has at hand until fewer are taken,
//! and takes the tasks, in the order of the members. A member whose tasks do not change gets the very
//! [`Arc`](std::sync::Arc) that it brought, so [`Arc::ptr_eq`](std::sync::Arc::ptr_eq) says who is to be written.
//!
//! What holds of every assignment to one member or more: each task is active on exactly one member, and no standby of it is
//! in that one's process, nor are two in one. Tasks with state have as many standbys as are wanted, or one in each of the other processes.
//!
//! It is Kafka 4.3.1's `sticky`, the only one that groups may choose: the same tasks for the same group, but where two processes are
//! equally loaded and it goes by the order of a hash table; here it is the order of their ids. Racks and client tags are
//! declared by members and not looked at, and there are no warm-up tasks, as there.

mod heap;
mod machine;
mod order;
mod owners;
mod process;
mod quota;
mod spec;
#[cfg(test)]
mod tests;

pub use machine::Assigning;
#[cfg(test)]
pub use machine::assign;
pub use spec::{MemberSpec, Subtopologies};
