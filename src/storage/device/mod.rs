//! Files: operations on them as data (`io`), and what carries those out: a real disk one by one
//! (`disk`) or through io_uring (`uring`), and one of the simulator (`sim_disk`).

mod descriptors;
pub mod disk;
pub mod io;
pub(super) mod outgoing;
pub mod sim_disk;
pub mod uring;
