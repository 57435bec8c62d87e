//! The secret of a cluster, and how both ends of a connection show that they know it without saying it.
//!
//! Who dials says a nonce in Hello; whoever takes it answers with a Challenge, a nonce of its own; Proof and then Welcome carry
//! an HMAC-SHA-256 (RFC 2104) under the secret over who speaks, both nonces and who means whom. Who dials proves it
//! first: a stranger that only connects gets nothing that a secret could be guessed with.
//!
//! It keeps strangers out. It does not hide or protect what is said afterwards: that takes TLS.

use super::framing::Lane;
use super::message::{Hello, NONCE, Nonce, Proof};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;

/// A secret has so many bytes at least: what is shorter can be guessed from one proof.
pub const SECRET_MIN: usize = 16;
/// A secret has so many bytes at most.
pub const SECRET_MAX: usize = 4096;

/// The secret. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who has dialled.
    Dials = 1,
    /// Who was dialled.
    Takes = 2,
}

/// What both ends have said of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Introduction<'a> {
    /// Of who dials, with its nonce.
    pub hello: &'a Hello,
    /// What the connection is for, and the shard that is meant.
    pub meant: (Lane, u16),
    /// The nonce of who was dialled.
    pub challenge: &'a Nonce,
}

impl Secret {
    /// The text of a file, without the white space around it. An error says why it is none.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let text = text.trim_ascii();
        if text.len() < SECRET_MIN {
            return Err(format!(
                "a secret has at least {SECRET_MIN} bytes, this one {}",
                text.len()
            ));
        }
        if text.len() > SECRET_MAX {
            return Err(format!(
                "a secret has at most {SECRET_MAX} bytes, this one {}",
                text.len()
            ));
        }
        Ok(Self(text.into()))
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("a key of any length")
    }

    fn over(&self, side: Side, it: Introduction<'_>) -> Hmac<Sha256> {
        let Introduction { hello, meant: (lane, shard), challenge } = it;
        let mut mac = self.mac();
        mac.update(b"klamm peer 1");
        mac.update(&[side as u8, lane as u8]);
        mac.update(&shard.to_le_bytes());
        mac.update(&hello.nonce.unwrap_or([0; NONCE]));
        mac.update(challenge);
        mac.update(&hello.versions.0.to_le_bytes());
        mac.update(&hello.versions.1.to_le_bytes());
        mac.update(&hello.node.to_le_bytes());
        mac.update(&hello.to.to_le_bytes());
        mac.update(&hello.incarnation.to_le_bytes());
        mac.update(&hello.shards.to_le_bytes());
        mac.update(&hello.shard.to_le_bytes());
        // Last, for it alone has no fixed length.
        mac.update(hello.cluster_id.as_bytes());
        mac
    }

    /// Proves to the other end that this one knows the secret.
    pub fn prove(&self, side: Side, it: Introduction<'_>) -> Proof {
        self.over(side, it).finalize().into_bytes().into()
    }

    /// Whether that end knows the secret. Takes as long for any proof.
    pub fn verify(&self, side: Side, it: Introduction<'_>, proof: &Proof) -> bool {
        self.over(side, it).verify_slice(proof).is_ok()
    }

    /// Whether whoever was dialled has shown that it knows the secret, by this proof: without one, or unasked, it has not.
    pub fn is_shown(
        &self,
        hello: &Hello,
        meant: (Lane, u16),
        challenge: Option<&Nonce>,
        proof: Option<&Proof>,
    ) -> bool {
        challenge.zip(proof).is_some_and(|(challenge, proof)| {
            self.verify(Side::Takes, Introduction { hello, meant, challenge }, proof)
        })
    }

    /// The nonce of this number, of whoever has these numbers to itself. Who does not know the secret cannot tell it before.
    pub fn nonce(&self, seed: u64, incarnation: u64, shard: u16, number: u64) -> Nonce {
        let mut mac = self.mac();
        mac.update(b"klamm nonce 1");
        mac.update(&seed.to_le_bytes());
        mac.update(&incarnation.to_le_bytes());
        mac.update(&shard.to_le_bytes());
        mac.update(&number.to_le_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            versions: (1, 1),
            cluster_id: "c".into(),
            node: 1,
            incarnation: 7,
            shards: 2,
            shard: 1,
            to: 2,
            nonce: Some([3; NONCE]),
        }
    }

    #[test]
    fn a_proof_is_good_for_one_introduction_and_one_side() {
        let secret = Secret::read(b"  a secret of the cluster\n").unwrap();
        let (hello, challenge) = (hello(), [9; NONCE]);
        let it = Introduction { hello: &hello, meant: (Lane::Control, 0), challenge: &challenge };
        let proof = secret.prove(Side::Dials, it);
        assert!(secret.verify(Side::Dials, it, &proof));
        assert!(!secret.verify(Side::Takes, it, &proof), "what was heard is not said back");
        let other = Secret::read(b"another secret of the cluster").unwrap();
        assert!(!other.verify(Side::Dials, it, &proof));
        let changes: [fn(&mut Hello); 8] = [
            |it| it.versions.1 = 2,
            |it| it.cluster_id = "d".into(),
            |it| it.node = 3,
            |it| it.incarnation = 8,
            |it| it.shards = 3,
            |it| it.shard = 0,
            |it| it.to = 3,
            |it| it.nonce = Some([4; NONCE]),
        ];
        for change in changes {
            let mut hello = hello.clone();
            change(&mut hello);
            let it = Introduction { hello: &hello, ..it };
            assert!(!secret.verify(Side::Dials, it, &proof), "{hello:?}");
        }
        for meant in [(Lane::Data, 0), (Lane::Control, 1)] {
            assert!(!secret.verify(Side::Dials, Introduction { meant, ..it }, &proof));
        }
        let it = Introduction { challenge: &[8; NONCE], ..it };
        assert!(!secret.verify(Side::Dials, it, &proof), "an old proof is worth nothing");
    }

    #[test]
    fn nonces_are_not_said_twice_and_secrets_not_shown() {
        let secret = Secret::read(b"0123456789abcdef").unwrap();
        let all = [(1, 1, 0, 1), (1, 1, 0, 2), (1, 1, 1, 1), (1, 2, 0, 1), (2, 1, 0, 1)];
        let nonces: std::collections::BTreeSet<Nonce> =
            all.map(|(seed, start, shard, n)| secret.nonce(seed, start, shard, n)).into();
        assert_eq!(nonces.len(), all.len());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(Secret::read(b"\n 0123456789abcde \n").unwrap_err().contains("at least 16"));
        assert!(Secret::read(&[b'a'; 5000]).unwrap_err().contains("at most"));
    }
}
