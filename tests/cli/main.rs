//! The program as it is typed: `klamm` and its subcommands, and Kafka's tools by their names.

mod cluster;
mod errors;
mod kafka_clients;
mod kafka_tools;
mod kafka_transactions;
mod mirror;
mod tools;
