//! One shard of a broker, put together: everything that decides, without sockets, files or clocks.

pub mod api;
pub mod connection;
