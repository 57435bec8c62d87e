//! What brokers say to each other on the peer port (`schemas/peer.fbs`), and the bytes around it.
//!
//! A connection begins with a [`Preamble`] of who dials, which says for which shard it is. Then both sides
//! send messages: a fixed header, a table, and a payload, which is not looked into here (`framing`).
//! `message` has them as values, `codec` makes bytes of these and back. Everything that is read is verified.

mod assembler;
mod codec;
mod error;
mod framing;
#[allow(warnings, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated {
    pub mod peer;
}
mod message;
mod secret;
#[cfg(test)]
mod tests;

pub use assembler::Assembler;
pub use codec::{decode, encode, encode_table};
pub use error::PeerError;
pub use framing::{Lane, PREAMBLE, Preamble, is_preamble};
pub use message::{
    Call, ClusterMap, ClusterNode, DurableEnd, FrameOf, Hello, IsrChange, Member, Nonce, Outcome,
    PeerMessage, Proof, Register, Start, StreamStart, StreamStarted, StreamStop, Watermark,
    Welcome,
};
pub use secret::{Introduction, Secret, Side};

/// The versions of the protocol that this program knows.
pub const VERSIONS: std::ops::RangeInclusive<u16> = 1..=1;
