//! Answers of one connection on their way to the kernel.

use super::answers::{Answer, Asked, Traced};
use crate::broker::api::Response;
use crate::wire::Tally;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// An answer that the kernel has taken.
#[derive(Debug)]
pub struct Delivered {
    /// To what.
    pub asked: Asked,
    /// Where its time went, if that was watched.
    pub traced: Option<Traced>,
    /// Its bytes.
    pub bytes: usize,
    /// The error codes in it.
    pub errors: Tally,
}

/// See the module.
#[derive(Default)]
pub(super) struct Outgoing {
    parts: VecDeque<Bytes>,
    /// Bytes in `parts`.
    unsent: usize,
    /// Bytes that were ever put in.
    queued: u64,
    /// Answers that `parts` hold, and up to which of `queued` each goes.
    leaving: VecDeque<(u64, Delivered)>,
}

impl Outgoing {
    /// An answer is to be sent.
    pub fn push(&mut self, answer: Answer) {
        let Answer { asked, response, traced } = answer;
        let bytes = response.len();
        self.unsent += bytes;
        self.queued += bytes as u64;
        let Response { head, rest, errors, .. } = response;
        self.parts.push_back(head);
        self.parts.extend(rest.into_iter().filter(|it| !it.is_empty()));
        self.leaving.push_back((self.queued, Delivered { asked, traced, bytes, errors }));
    }

    /// Bytes that the kernel has not taken.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Whether every answer has left and was [told](Self::next_delivered).
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty()
    }

    /// What is to be sent next.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|it| &it[..])
    }

    /// The kernel has taken so many bytes of [`parts`](Self::parts).
    pub fn sent(&mut self, mut n: usize) {
        assert!(n <= self.unsent, "no more was sent than there was");
        self.unsent -= n;
        while n > 0 {
            let Some(first) = self.parts.front_mut() else { break };
            if first.len() > n {
                first.advance(n);
                break;
            }
            n -= first.len();
            self.parts.pop_front();
        }
        if self.parts.is_empty() && self.parts.capacity() > 64 {
            self.parts = VecDeque::new();
        }
    }

    /// The next answer that the kernel has taken in full.
    pub fn next_delivered(&mut self) -> Option<Delivered> {
        let sent = self.queued - self.unsent as u64;
        if self.leaving.front().is_some_and(|(end, _)| *end <= sent) {
            return self.leaving.pop_front().map(|(_, it)| it);
        }
        if self.leaving.is_empty() && self.leaving.capacity() > 64 {
            self.leaving = VecDeque::new();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api_keys::ApiKey;

    fn answer(head: &'static str, rest: &[&'static str]) -> Answer {
        let rest = rest.iter().map(|it| Bytes::from_static(it.as_bytes())).collect();
        Answer {
            asked: Asked { api: ApiKey::FETCH, received: 0 },
            response: Response::of(head.into(), rest, Tally::default()),
            traced: None,
        }
    }

    #[test]
    fn answers_are_delivered_when_their_last_byte_is() {
        let mut out = Outgoing::default();
        out.push(answer("ab", &["", "cde"]));
        out.push(answer("f", &[]));
        assert_eq!(out.parts().collect::<Vec<_>>(), [&b"ab"[..], b"cde", b"f"]);
        out.sent(0);
        out.sent(3);
        assert_eq!(out.parts().collect::<Vec<_>>(), [&b"de"[..], b"f"]);
        assert!(out.next_delivered().is_none());
        out.sent(3);
        assert_eq!(out.unsent(), 0);
        let bytes: Vec<_> =
            std::iter::from_fn(|| out.next_delivered()).map(|it| it.bytes).collect();
        assert_eq!(bytes, [5, 1]);
        out.push(answer("g", &[]));
        assert!(out.next_delivered().is_none());
    }
}
