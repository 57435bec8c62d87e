//! What the members of the metadata quorum say to each other: Raft's messages, as `FlatBuffers`
//! (`schemas/metadata.fbs`).
//!
//! Raft's crate takes what it is handed for granted: a gap in the entries, or a snapshot without voters, ends
//! the process. So a message is held against what Raft's rules say of it before Raft sees it.

use super::codec::{self, CodecError, get_entries, put_entries, root};
use super::generated::metadata::klamm::metadata as fb;
use super::members::node_id;
use flatbuffers::FlatBufferBuilder;
use raft::eraftpb::{self, MessageType};

/// One message from one member to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(pub(super) eraftpb::Message);

const KINDS: [(MessageType, fb::QuorumMessageKind); 10] = [
    (MessageType::MsgAppend, fb::QuorumMessageKind::Append),
    (MessageType::MsgAppendResponse, fb::QuorumMessageKind::AppendReply),
    (MessageType::MsgRequestVote, fb::QuorumMessageKind::Vote),
    (MessageType::MsgRequestVoteResponse, fb::QuorumMessageKind::VoteReply),
    (MessageType::MsgSnapshot, fb::QuorumMessageKind::Snapshot),
    (MessageType::MsgHeartbeat, fb::QuorumMessageKind::Heartbeat),
    (MessageType::MsgHeartbeatResponse, fb::QuorumMessageKind::HeartbeatReply),
    (MessageType::MsgTimeoutNow, fb::QuorumMessageKind::TimeoutNow),
    (MessageType::MsgRequestPreVote, fb::QuorumMessageKind::PreVote),
    (MessageType::MsgRequestPreVoteResponse, fb::QuorumMessageKind::PreVoteReply),
];

impl Message {
    /// Whether Raft sends messages of this type to other members here: what is proposed is not passed on
    /// by Raft, and nobody reads by it.
    pub(super) fn is_sent(kind: MessageType) -> bool {
        KINDS.iter().any(|it| it.0 == kind)
    }

    /// Node id of who is to get it.
    pub fn to(&self) -> i32 {
        node_id(self.0.to)
    }

    /// Node id of who says it.
    pub fn from(&self) -> i32 {
        node_id(self.0.from)
    }

    /// Whether it carries a snapshot, which may be large.
    pub fn is_snapshot(&self) -> bool {
        self.0.get_msg_type() == MessageType::MsgSnapshot
    }

    /// What becomes of it where this node joins with an empty directory and is not registered yet. It is meant for an earlier directory
    /// of the node, whose progress its registration ends, so it is not looked at.
    ///
    /// # Errors
    /// The link that it came by is to end: whoever sends a snapshot asks no more until it has come, or the link ends, and
    /// would wait for ever.
    pub fn before_registration(&self) -> Result<(), &'static str> {
        if self.is_snapshot() { Err("it sends a snapshot to who joins") } else { Ok(()) }
    }

    /// As it goes to a peer.
    ///
    /// # Panics
    ///
    /// Panics at a message of a type that Raft does not send.
    pub fn encode(&self) -> Vec<u8> {
        let it = &self.0;
        let kind = KINDS.iter().find(|kind| kind.0 == it.get_msg_type());
        let kind = kind.expect("a kind that is sent").1;
        let mut builder = FlatBufferBuilder::new();
        let b = &mut builder;
        let context = (!it.context.is_empty()).then(|| b.create_vector(&it.context));
        let entries = (!it.entries.is_empty()).then(|| put_entries(b, &it.entries));
        let snapshot = self.is_snapshot().then(|| b.create_vector(&it.get_snapshot().data));
        let args = fb::QuorumMessageArgs {
            kind,
            to: it.to,
            from: it.from,
            term: it.term,
            log_term: it.log_term,
            index: it.index,
            commit: it.commit,
            commit_term: it.commit_term,
            reject: it.reject,
            reject_hint: it.reject_hint,
            request_snapshot: it.request_snapshot,
            context,
            entries,
            snapshot,
        };
        let message = fb::QuorumMessage::create(b, &args);
        b.finish_minimal(message);
        builder.finished_data().to_vec()
    }

    /// What [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let it = root::<fb::QuorumMessage<'_>>(bytes)?;
        let kind = KINDS.iter().find(|kind| kind.1 == it.kind());
        let kind = kind.ok_or(CodecError::Nonsense("of a kind that this version does not know"))?.0;
        let mut message = eraftpb::Message {
            msg_type: kind,
            to: it.to(),
            from: it.from(),
            term: it.term(),
            log_term: it.log_term(),
            index: it.index(),
            commit: it.commit(),
            commit_term: it.commit_term(),
            reject: it.reject(),
            reject_hint: it.reject_hint(),
            request_snapshot: it.request_snapshot(),
            ..eraftpb::Message::default()
        };
        if message.to == 0 || message.from == 0 {
            return Err(CodecError::Nonsense("from or to nobody"));
        }
        // A term of its own is what makes an answer of an earlier election harmless.
        if message.term == 0 {
            return Err(CodecError::Nonsense("of no term"));
        }
        if let Some(context) = it.context() {
            message.context = context.bytes().to_vec().into();
        }
        if let Some(entries) = it.entries() {
            let entries = get_entries(entries)?;
            check_entries(&message, &entries)?;
            message.entries = entries.into();
        }
        if kind == MessageType::MsgSnapshot {
            let bytes =
                it.snapshot().ok_or(CodecError::Nonsense("a snapshot that is not there"))?;
            *message.mut_snapshot() = codec::raft_snapshot(bytes.bytes())?;
        }
        Ok(Self(message))
    }
}

/// Entries follow what the message says is before them, and their terms never fall.
fn check_entries(message: &eraftpb::Message, entries: &[eraftpb::Entry]) -> Result<(), CodecError> {
    if message.get_msg_type() != MessageType::MsgAppend {
        return Err(CodecError::Nonsense("entries that are not appended"));
    }
    let (mut index, mut term) = (message.index, message.log_term);
    for entry in entries {
        if entry.index.checked_sub(1) != Some(index) || entry.term < term {
            return Err(CodecError::Nonsense("entries that do not follow each other"));
        }
        (index, term) = (entry.index, entry.term);
    }
    if term > message.term {
        return Err(CodecError::Nonsense("entries of a term to come"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::codec::encode_batch;
    use crate::controller::record::Record;
    use crate::types::rng::Rng;
    use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry, EntryType};

    fn entries() -> Vec<Entry> {
        use protobuf::Message as _;
        let data = encode_batch(&[Record::ProducerIdsTaken { count: 7 }]).into();
        let change = ConfChangeSingle {
            change_type: ConfChangeType::AddLearnerNode,
            node_id: 4,
            ..ConfChangeSingle::default()
        };
        let change = ConfChangeV2 { changes: vec![change].into(), ..ConfChangeV2::default() };
        let mut members = Entry { index: 13, term: 3, ..Entry::default() };
        members.set_entry_type(EntryType::EntryConfChangeV2);
        members.data = change.write_to_bytes().unwrap().into();
        vec![
            Entry { index: 11, term: 2, ..Entry::default() },
            Entry { index: 12, term: 3, data, ..Entry::default() },
            members,
        ]
    }

    fn message(kind: MessageType) -> Message {
        let mut it = eraftpb::Message { from: 1, to: 2, term: 3, ..eraftpb::Message::default() };
        it.set_msg_type(kind);
        (it.index, it.log_term, it.commit, it.commit_term) = (10, 2, 9, 2);
        (it.reject, it.reject_hint, it.request_snapshot) = (true, 8, 7);
        it.context = b"why".to_vec().into();
        if kind == MessageType::MsgAppend {
            it.entries = entries().into();
        }
        Message(it)
    }

    #[test]
    fn what_is_sent_comes_as_it_was() {
        for (kind, _) in KINDS.iter().filter(|it| it.0 != MessageType::MsgSnapshot) {
            let message = message(*kind);
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
            assert_eq!((message.from(), message.to()), (0, 1));
        }
    }

    #[test]
    fn who_sends_a_snapshot_to_who_joins_hears_that_it_has_not_come() {
        for (kind, _) in KINDS {
            let told = message(kind).before_registration();
            assert_eq!(told.is_err(), kind == MessageType::MsgSnapshot, "{kind:?}");
        }
    }

    #[test]
    fn what_raft_would_stumble_over_is_refused() {
        let refused = |change: &dyn Fn(&mut eraftpb::Message)| {
            let mut message = message(MessageType::MsgAppend);
            change(&mut message.0);
            matches!(Message::decode(&message.encode()), Err(CodecError::Nonsense(_)))
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|it| it.index = 9), "a gap before the entries");
        assert!(refused(&|it| it.entries[1].index = 14), "a gap among them");
        assert!(refused(&|it| it.entries[2].term = 1), "a term that falls");
        assert!(refused(&|it| it.term = 2), "entries of a later term than the message's");
        assert!(
            refused(&|it| it.set_msg_type(MessageType::MsgHeartbeat)),
            "entries in a heartbeat"
        );
        assert!(refused(&|it| it.from = 0), "from nobody");
        assert!(refused(&|it| it.term = 0), "of no term");
        let no_batch = |it: &mut eraftpb::Message| it.entries[1].data = b"nonsense".to_vec().into();
        let mut message = message(MessageType::MsgAppend);
        no_batch(&mut message.0);
        assert!(Message::decode(&message.encode()).is_err(), "an entry that nobody can apply");
    }

    #[test]
    fn damaged_bytes_are_refused_or_read() {
        let whole = message(MessageType::MsgAppend).encode();
        let mut rng = Rng::new(1);
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.between(1, 4) {
                let at = rng.index(bytes.len());
                bytes[at] = rng.bits() as u8;
            }
            bytes.truncate(if rng.chance(10) { rng.index(whole.len()) } else { whole.len() });
            refused += usize::from(Message::decode(&bytes).is_err());
        }
        assert!(refused > 1_000, "{refused}");
    }
}
