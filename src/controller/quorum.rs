//! One member of the metadata quorum: Raft, and its log on disk.
//!
//! In call order: [`step`](Quorum::step) takes a message of another member, [`tick`](Quorum::tick) lets time pass,
//! [`propose`](Quorum::propose) adds to the log of a leader. After any of them, [`ready_with`](Quorum::ready_with) gives what
//! is to be written, [`poll_message`](Quorum::poll_message) what may be sent, [`poll`](Quorum::poll) what the log has
//! decided. What is written is reported by [`persisted`](Quorum::persisted), and then there is more of
//! the rest.
//!
//! A vote, and that entries are held, is said only when it is durable: such messages stay here until their
//! write has completed. A leader sends entries to others while it writes them itself, which promises
//! nothing yet: it counts itself when they are durable here.
//!
//! Raft's crate draws its election timeouts from the thread's generator. Here they come from a seed, so that a
//! simulation replays: each change of term or role is given a new one.

use super::codec::{self, SnapshotState};
use super::describe::{Hearing, QuorumState, ReplicaState};
use super::due_snapshot::{DueSnapshot, EncodedSnapshot};
use super::image::Image;
use super::log;
use super::members::{Members, node_id, raft_id};
use super::message::Message;
use super::room::Room;
use super::store::Store;
use crate::storage::buffer::Budget;
use crate::storage::device::io::Op;
use crate::types::rng::Rng;
use raft::eraftpb::{self, Entry, EntryType, MessageType, Snapshot};
use raft::{Config, ProgressState, RawNode, SnapshotStatus, StateRole};
use std::collections::VecDeque;
use std::sync::Arc;

/// A member that has heard no leader for this many ticks, and up to twice as many, stands for election.
pub const ELECTION_TICKS: usize = 10;
/// A leader says that it is there every so many ticks.
const HEARTBEAT_TICKS: usize = 2;

/// Elections that follow each other quickly where the leader is missed.
const HASTY: u32 = 5;
/// The next of them comes after so many ticks, and up to twice as many; later ones come from a longer time.
const HASTY_TICKS: usize = 2;

/// So many messages at most wait for a write.
const UNSAID_MAX: usize = 1_024;

/// The most that an entry takes in a write to the log beside its data, bytes.
const ENTRY_OVERHEAD: usize = 64;

/// Writes that make entries, votes or a snapshot durable.
#[derive(Debug)]
pub struct Persist {
    /// To be run one after the other, each when the one before has completed. Where one fails, the
    /// process ends: what is on disk is not known any more.
    pub ops: Vec<Op>,
    /// For `persisted`, when all of them have completed.
    pub ticket: Ticket,
    /// What takes them back where there is no space for one before the rename, for `not_replaced`: nothing refers to what they have
    /// written. None where there is nothing to go on with instead.
    pub undo: Option<[Op; 2]>,
}

/// Stands for a [`Persist`] that is being carried out. It cannot be copied or made up.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
}

/// What the log has decided, in order.
#[derive(Debug)]
pub enum Decided {
    /// These entries take effect.
    Entries(Vec<Entry>),
    /// What the entries up to some point have made replaces what is here: a snapshot as
    /// `codec::decode_snapshot` reads it.
    Snapshot(bytes::Bytes),
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// It is for another member.
    #[error("a message for node {0}")]
    NotForUs(i32),
    /// Others hold this member to entries that it does not have: its disk has lost what it had promised to
    /// keep. It must not vote any more, and has to be removed and to join as a new one.
    #[error(
        "the metadata quorum counts on entry {promised}, and the log ends at {last}: the disk has lost entries"
    )]
    Lost {
        /// The entry that is counted on.
        promised: u64,
        /// The last one that is here.
        last: u64,
    },
}

/// Why a change of the membership is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// Another is under way.
    #[error("another change of the quorum is under way")]
    Busy,
    /// It leaves nobody who votes.
    #[error("a quorum needs a voter")]
    NoVoters,
    /// It takes the vote of the member that leads, which has to hand over first.
    #[error("the member that leads the quorum cannot leave it")]
    Leads,
}

/// What Raft has handed out to be written, and that is not durable yet.
struct Pending {
    number: u64,
    entries: Vec<Entry>,
    snapshot: Option<Snapshot>,
    must_write: bool,
    /// To be sent once it is durable.
    messages: Vec<eraftpb::Message>,
}

impl Pending {
    /// With it goes what follows.
    fn add(&mut self, next: Self) {
        self.number = next.number;
        self.entries.extend(next.entries);
        self.must_write |= next.must_write;
        self.messages.extend(next.messages);
    }
}

/// A write in flight.
struct Writing {
    /// It holds what is pending up to this number.
    number: u64,
    /// Where the log ends when it is written.
    end: u64,
    /// Index, term: the snapshot that is written with it holds the entries up to there.
    snapshot: Option<(u64, u64)>,
}

/// The log file that is appended to, and where.
pub struct Place {
    /// Number of the file.
    pub file: u64,
    /// Where it ends.
    pub end: u64,
    /// A log file that is longer than this is replaced by a snapshot.
    pub bytes_max: u64,
}

/// See the module.
pub struct Quorum {
    node: RawNode<Store>,
    rng: Rng,
    election_ticks: usize,
    /// The term and role for which `election_ticks` was drawn.
    stance: (u64, StateRole),
    pending: VecDeque<Pending>,
    writing: Option<Writing>,
    sendable: VecDeque<eraftpb::Message>,
    decided: VecDeque<Decided>,
    place: Place,
    /// Of the file that this process began.
    room: Room,
    /// The snapshot on disk: index, term.
    snapshot: (u64, u64),
    /// Set from the start to the first write: what was read may not be durable. A process that was killed, or
    /// whose sync failed, leaves what can be read and what no later sync brings to the medium. So nothing is
    /// appended to it; all of it is written anew, to new files.
    replace_log: bool,
    /// The leader is [gone](Self::leader_is_gone), or was not heard for long, and nobody has taken its place: how many elections
    /// follow each other quickly yet.
    hasty: Option<u32>,
    hearing: Hearing,
    budget: Arc<Budget>,
}

impl Quorum {
    /// A member that has read its log. Entries up to `store.forgotten` are in the image; the others that are
    /// known to be committed are decided again.
    pub fn new(id: u64, store: Store, place: Place, mut rng: Rng) -> Result<Self, String> {
        let config = Config {
            id,
            applied: store.forgotten.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let snapshot = store.forgotten;
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, store, &logger).map_err(|error| error.to_string())?;
        let stance = (node.raft.term, node.raft.state);
        let election_ticks = draw(&mut rng);
        let mut quorum = Self {
            node,
            rng,
            election_ticks,
            stance,
            pending: VecDeque::new(),
            writing: None,
            sendable: VecDeque::new(),
            decided: VecDeque::new(),
            place,
            room: Room::default(),
            snapshot,
            replace_log: true,
            hasty: None,
            hearing: Hearing::default(),
            budget: Budget::new(usize::MAX),
        };
        quorum.settle();
        Ok(quorum)
    }

    /// Whether this member [joins](super::OpenOptions::joins): who belongs to the quorum it learns by a snapshot.
    pub fn is_joining(&self) -> bool {
        self.node.store().members().voters.is_empty()
    }

    /// Number of the log file that is appended to.
    pub fn file(&self) -> u64 {
        self.place.file
    }

    /// Whether this member leads, and takes what is proposed: not while it hands over.
    pub fn leads(&self) -> bool {
        self.is_leader() && self.node.raft.lead_transferee.is_none()
    }

    fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// The term.
    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// The node that leads as far as this member knows; -1 for none.
    pub fn leader(&self) -> i32 {
        node_id(self.node.raft.leader_id)
    }

    /// Index of the last entry that a majority has, as far as this member knows.
    pub fn committed(&self) -> u64 {
        self.node.raft.raft_log.committed
    }

    /// Index of the last entry of the log, durable or not.
    pub fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    /// The term of an entry that is there, or of the last one that was forgotten.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        self.node.store().term_of(index)
    }

    /// Who belongs to the quorum, as of the last entry that took effect.
    pub fn members(&self) -> Members {
        Members::of(self.node.store().members())
    }

    /// Entries of the log of a leader after `index`, up to which everything took effect.
    pub fn entries_after(&self, index: u64) -> Vec<Entry> {
        let log = &self.node.raft.raft_log;
        log.slice(index + 1, log.last_index() + 1, None, raft::GetEntriesContext::empty(false))
            .expect("a leader has what did not take effect")
    }

    /// What a leader knows of the members; `None` where this one does not lead.
    pub fn describe(&self) -> Option<QuorumState> {
        if !self.is_leader() {
            return None;
        }
        let raft = &self.node.raft;
        let replica = |node: &i32| {
            let id = raft_id(*node);
            let last = raft.prs().get(id).map_or(0, |it| it.matched);
            let (heard, caught_up) =
                if id == raft.id { (Some(0), Some(0)) } else { self.hearing.of(id) };
            ReplicaState { node: *node, last, heard, caught_up }
        };
        let members = self.members();
        Some(QuorumState {
            leader: self.leader(),
            term: self.term(),
            committed: raft.raft_log.committed,
            voters: members.voters.iter().map(replica).collect(),
            learners: members.learners.iter().map(replica).collect(),
            changing: self.changes_members(),
        })
    }

    /// What this member has answered was of an earlier directory: it is not caught up before it has answered again.
    pub fn forget_answers(&mut self, node: i32) {
        self.hearing.keep(|id| id != raft_id(node));
    }

    /// Stands for election now.
    pub fn campaign(&mut self) {
        // It fails only where a change of the membership has yet to take effect; then time will do it.
        let _ = self.node.campaign();
        self.settle();
    }

    /// Time passes.
    pub fn tick(&mut self) {
        self.hearing.tick();
        if !self.installs() {
            self.node.tick();
            self.settle();
        }
    }

    /// Whether a snapshot of a leader is being written. Raft's crate must not stand for election then: it looks for
    /// entries that the snapshot has taken the place of.
    fn installs(&self) -> bool {
        self.pending.iter().any(|it| it.snapshot.is_some())
    }

    /// Takes a message of another member.
    pub fn step(&mut self, message: Message) -> Result<(), StepError> {
        let message = message.0;
        let raft = &self.node.raft;
        if message.to != raft.id {
            return Err(StepError::NotForUs(node_id(message.to)));
        }
        let last = raft.raft_log.last_index();
        if self.is_joining() {
            match message.get_msg_type() {
                MessageType::MsgAppend if message.index == 0 => {
                    self.sendable.push_back(wish_for_snapshot(&message));
                    return Ok(());
                }
                // Who asks for a vote says by that who votes: it may have been given one, and be needed.
                MessageType::MsgRequestVote
                | MessageType::MsgRequestPreVote
                | MessageType::MsgAppend
                | MessageType::MsgSnapshot => {}
                MessageType::MsgHeartbeat if message.commit <= last => {}
                // It does not lead, and has promised nothing of its log.
                _ => return Ok(()),
            }
        }
        let beats = message.get_msg_type() == MessageType::MsgHeartbeat;
        if beats && message.term >= raft.term && message.commit > last {
            return Err(StepError::Lost { promised: message.commit, last });
        }
        let answers = message.get_msg_type() == MessageType::MsgAppendResponse && !message.reject;
        if answers && message.term == raft.term && self.is_leader() && message.index > last {
            return Err(StepError::Lost { promised: message.index, last });
        }
        if message.get_msg_type() == MessageType::MsgTimeoutNow && self.installs() {
            return Ok(());
        }
        let from = message.from;
        let is_answer = matches!(
            message.get_msg_type(),
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse
        );
        if answers
            && self.is_leader()
            && self.node.raft.prs().get(from).is_some_and(|it| {
                it.state == ProgressState::Snapshot && it.pending_snapshot <= message.index
            })
        {
            // Raft's crate sends one that was wished for again and again until it is told that it has come; and where the
            // member had all of it, and had said so before it started anew, it waits for it without an end.
            self.node.report_snapshot(from, SnapshotStatus::Finish);
        }
        // What Raft refuses here are answers of nodes that do not belong to the quorum any more.
        let _ = self.node.step(message);
        self.settle();
        if is_answer
            && self.is_leader()
            && let Some(progress) = self.node.raft.prs().get(from)
        {
            self.hearing.answered(from, progress.matched, last);
        }
        Ok(())
    }

    /// A connection to or from this node is broken: messages may be lost. Whether it has got a snapshot is not asked
    /// before this is said.
    pub fn unreachable(&mut self, node: i32) {
        let id = raft_id(node);
        self.node.report_unreachable(id);
        // It may have come: then what follows it is taken, and otherwise it is sent again.
        self.node.report_snapshot(id, SnapshotStatus::Finish);
        self.settle();
    }

    /// Adds an entry to the log; its index.
    ///
    /// # Panics
    ///
    /// Panics where this member does not [lead](Self::leads).
    pub fn propose(&mut self, data: Vec<u8>) -> u64 {
        self.node.propose(Vec::new(), data).expect("a leader takes what is proposed");
        self.settle();
        self.last_index()
    }

    /// Whether a change of its members is under way: until it has ended, there is no other.
    fn changes_members(&self) -> bool {
        let outgoing = !self.node.store().members().voters_outgoing.is_empty();
        self.node.raft.has_pending_conf() || outgoing
    }

    /// Begins to change who belongs to the quorum: by joint consensus where more than one changes, so that at no
    /// time two majorities exist that do not meet.
    ///
    /// # Panics
    ///
    /// Panics where this member does not [lead](Self::leads).
    pub fn change_members(&mut self, to: &Members) -> Result<(), MembersError> {
        if to.voters.is_empty() {
            return Err(MembersError::NoVoters);
        }
        if self.changes_members() {
            return Err(MembersError::Busy);
        }
        if !to.voters.contains(&node_id(self.node.raft.id)) {
            return Err(MembersError::Leads);
        }
        let change = self.members().change_to(to);
        if change.changes.is_empty() {
            return Ok(());
        }
        self.node.propose_conf_change(Vec::new(), change).expect("a leader takes what is proposed");
        self.settle();
        Ok(())
    }

    /// The process of this member, which leads, is gone, as the kernel of its machine says: nobody waits for the time of an
    /// election. The other voters stand for it one after the other; whoever still hears the leader does not vote for them
    /// (pre-vote).
    pub fn leader_is_gone(&mut self, node: i32) {
        if self.is_leader() || self.leader() != node || self.installs() {
            return;
        }
        let raft = &mut self.node.raft;
        let (id, term) = (raft.id, raft.term);
        raft.become_follower(term, raft::INVALID_ID);
        self.hasty = Some(HASTY);
        let mut others = self.members().voters.into_iter().filter(|it| *it != node);
        match others.position(|it| raft_id(it) == id) {
            None => {}
            Some(0) => return self.campaign(),
            Some(place) => {
                self.node.raft.election_elapsed = self.election_ticks.saturating_sub(place);
            }
        }
        self.settle();
    }

    /// The voter that could lead next, where this member leads: the one that was heard lately and has most of the log.
    pub fn successor(&self) -> Option<i32> {
        if !self.is_leader() {
            return None;
        }
        let raft = &self.node.raft;
        let others = self.members().voters.into_iter().filter(|it| raft_id(*it) != raft.id);
        let ready = others.filter_map(|node| {
            let progress = raft.prs().get(raft_id(node)).filter(|it| it.recent_active)?;
            Some((progress.matched, node))
        });
        ready.max().map(|(_, node)| node)
    }

    /// Hands over to this voter, once it has everything. Others may lead instead.
    pub fn hand_over(&mut self, to: i32) {
        self.node.transfer_leader(raft_id(to));
        self.settle();
    }

    /// What may be sent.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.sendable.pop_front().map(Message)
    }

    /// What the log has decided.
    pub fn poll(&mut self) -> Option<Decided> {
        self.decided.pop_front()
    }

    /// The snapshot that [`ready_with`](Self::ready_with) is to be given next: where the log has become too long, or
    /// where another member is too far behind for it. `image` is what everything [polled](Self::poll) has
    /// made.
    pub fn due_snapshot(&self, image: &Arc<Image>) -> Option<DueSnapshot> {
        assert!(self.decided.is_empty(), "the members would be those of a later entry");
        let store = self.node.store();
        let due = |log, node| {
            let state = self.state(image.index, store.members().clone(), log, node)?;
            Some(DueSnapshot { image: image.clone(), state })
        };
        if store.take_wish() && self.is_leader() {
            return due(0, 0);
        }
        if self.writing.is_some() || self.installs() {
            return None;
        }
        let entries = self.pending.iter().flat_map(|it| &it.entries);
        let bytes: usize = entries.map(|it| it.data.len() + ENTRY_OVERHEAD).sum();
        let Place { file, end, bytes_max } = self.place;
        let is_long = !self.pending.is_empty() && end > 0 && end + bytes as u64 > bytes_max;
        if self.replace_log || is_long && !self.room.lacks() {
            due(file + 1, self.node.raft.id)
        } else {
            None
        }
    }

    /// What is to be written next, with the [due snapshot](Self::due_snapshot); `None` where nothing is, or where
    /// the last writes have not been reported as [`persisted`](Self::persisted) yet.
    pub fn ready_with(&mut self, snapshot: Option<EncodedSnapshot>) -> Option<Persist> {
        let store = self.node.store();
        // One that took its time may be behind what was forgotten meanwhile.
        let snapshot = snapshot.filter(|it| it.index >= store.forgotten.0);
        let (sent, replaces) = match snapshot {
            Some(it) if it.log == 0 => (Some(it), None),
            other => (None, other.filter(|_| !self.installs())),
        };
        if let Some(it) = sent {
            store.offer(codec::raft_snapshot(&it.bytes).expect("a snapshot of what took effect"));
        }
        if self.writing.is_some() || self.pending.is_empty() && replaces.is_none() {
            return None;
        }
        let number = self.pending.back().map_or(0, |it| it.number);
        let hard_state = store.hard_state.clone();
        if let Some(snapshot) = self.pending.iter().find_map(|it| it.snapshot.as_ref()) {
            let metadata = snapshot.get_metadata();
            let (index, term) = (metadata.index, metadata.term);
            let members = metadata.get_conf_state().clone();
            let state = self.state(index, members, self.place.file + 1, self.node.raft.id)?;
            let payload = codec::encode_write(Some(&hard_state), store.entries_after(index));
            let snapshot = codec::with_state(&snapshot.data, &state).expect("it was checked");
            return Some(self.replace(number, (index, term), &payload, &snapshot));
        }
        if let Some(EncodedSnapshot { index, term, bytes, .. }) = replaces {
            // The new file begins with every entry that the new snapshot does not hold.
            let payload = codec::encode_write(Some(&hard_state), store.entries_after(index));
            return Some(self.replace(number, (index, term), &payload, &bytes));
        }
        assert!(!self.replace_log, "what was read is not appended to");
        let entries: Vec<Entry> =
            self.pending.iter().flat_map(|it| it.entries.iter().cloned()).collect();
        let payload = codec::encode_write(Some(&hard_state), &entries);
        Some(self.append(number, &payload))
    }

    /// Raft's state at an entry that is there or was forgotten last.
    fn state(
        &self,
        index: u64,
        members: eraftpb::ConfState,
        log: u64,
        node: u64,
    ) -> Option<SnapshotState> {
        let store = self.node.store();
        let (term, hard_state) = (store.term_of(index)?, store.hard_state.clone());
        Some(SnapshotState { term, hard_state, members, log, node })
    }

    fn append(&mut self, number: u64, payload: &[u8]) -> Persist {
        let Place { file, end: pos, .. } = self.place;
        let data = log::frame(payload, file, pos, &self.budget);
        let path = log::log_path(file);
        self.writing = Some(Writing { number, end: pos + data.len() as u64, snapshot: None });
        let write = Op::Write { path: path.clone(), pos, data };
        Persist { ops: vec![write, Op::Sync { path }], ticket: Ticket { number }, undo: None }
    }

    fn replace(&mut self, number: u64, at: (u64, u64), payload: &[u8], snapshot: &[u8]) -> Persist {
        let old = self.place.file;
        let file = old + 1;
        let data = log::frame(payload, file, 0, &self.budget);
        self.writing = Some(Writing { number, end: data.len() as u64, snapshot: Some(at) });
        let path = log::log_path(file);
        let mut ops = log::create(file);
        ops.push(Op::Write { path: path.clone(), pos: 0, data });
        ops.push(Op::Sync { path });
        ops.extend(log::replace_snapshot(snapshot, &self.budget));
        ops.push(Op::Unlink { path: log::log_path(old) });
        let undo = (!self.replace_log && !self.installs()).then(|| log::give_up(file));
        Persist { ops, ticket: Ticket { number }, undo }
    }

    /// The writes of this ticket have completed.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn persisted(&mut self, ticket: Ticket) {
        let writing = self.writing.take().expect("a ticket stands for a write");
        assert_eq!(writing.number, ticket.number, "tickets are not made up");
        self.place.end = writing.end;
        self.room.written(writing.end);
        if let Some((index, term)) = writing.snapshot {
            self.place.file += 1;
            self.room = Room::new(writing.end);
            self.replace_log = false;
            // What came since the snapshot before stays in memory: a member that is a little behind
            // needs no snapshot.
            let (before, before_term) = self.snapshot;
            self.node.mut_store().compact(before, before_term);
            self.snapshot = (index, term);
        }
        while self.pending.front().is_some_and(|it| it.number <= writing.number || !it.must_write) {
            let done = self.pending.pop_front().expect("there is one");
            self.sendable.extend(done.messages);
            self.node.on_persist_ready(done.number);
            if let Some(mut snapshot) = done.snapshot {
                self.node.advance_apply_to(snapshot.get_metadata().index);
                self.decided.push_back(Decided::Snapshot(snapshot.take_data()));
            }
        }
        self.settle();
    }

    /// There was no space for what these writes were to replace the log with, and what they had begun is [undone](Persist::undo): the
    /// log goes on where it is. Hands over as [`made_room`](Self::made_room) does.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn not_replaced(&mut self, ticket: Ticket) -> bool {
        let writing = self.writing.take().expect("a ticket stands for a write");
        assert_eq!(writing.number, ticket.number, "tickets are not made up");
        self.made_room(false)
    }

    /// What gives the log more [room](super::room) ahead, where it has too little and nothing is being written. To be
    /// reported by [`made_room`](Self::made_room) before the next [`ready_with`](Self::ready_with).
    pub fn wanted_room(&self) -> Option<[Op; 2]> {
        let Place { file, end, .. } = self.place;
        let may_be = self.writing.is_none() && !self.replace_log;
        may_be.then(|| self.room.wanted(file, end, &self.budget)).flatten()
    }

    /// That was carried out, or there is no space for it. The first time of these a leader hands over, while it can: what it
    /// has left is for what it is told by others. Says whether it does.
    pub fn made_room(&mut self, made: bool) -> bool {
        if made {
            self.room.made();
            return false;
        }
        let successor = self.room.refused().then(|| self.successor()).flatten();
        successor.into_iter().for_each(|it| self.hand_over(it));
        successor.is_some()
    }

    /// After anything that may have changed Raft's state.
    fn settle(&mut self) {
        self.take_ready();
        let stance = (self.node.raft.term, self.node.raft.state);
        let has_leader = self.node.raft.leader_id != raft::INVALID_ID;
        if stance != self.stance {
            self.stance = stance;
            self.hearing.forget();
            self.election_ticks = draw(&mut self.rng);
            let stands = matches!(stance.1, StateRole::PreCandidate | StateRole::Candidate);
            if stands && !has_leader {
                // It has waited for the leader already; others may have stood at the same time, or had just heard it.
                self.hasty.get_or_insert(HASTY);
            }
            if let Some(left @ 1..) = &mut self.hasty
                && !has_leader
            {
                // Two that stand at the same time, again and again, draw from more each time.
                let spread = (HASTY_TICKS << (HASTY - *left)).min(ELECTION_TICKS - HASTY_TICKS);
                let waits = HASTY_TICKS + self.rng.index(spread);
                self.node.raft.election_elapsed = self.election_ticks - waits;
                *left -= u32::from(stance.1 == StateRole::PreCandidate);
            }
        }
        if has_leader {
            self.hasty = None;
        }
        self.node.raft.set_randomized_election_timeout(self.election_ticks);
    }

    /// Takes what Raft has ready: a leader's at any time, since its messages need not wait for its own
    /// writes; another's when what it had before is durable, so that nothing is sent out of turn.
    fn take_ready(&mut self) {
        // While a write waits for space, the leader goes on to be answered. Every message may be lost.
        let unsaid = &mut self.node.raft.msgs;
        if unsaid.len() > UNSAID_MAX {
            unsaid.drain(..unsaid.len() - UNSAID_MAX / 2);
        }
        while (self.pending.is_empty() || self.is_leader()) && self.node.has_ready() {
            let mut ready = self.node.ready();
            let (number, must_write) = (ready.number(), ready.must_sync());
            self.sendable.extend(sent(ready.take_messages()));
            let messages = sent(ready.take_persisted_messages());
            let committed = ready.take_committed_entries();
            let entries = ready.take_entries();
            let snapshot = (!ready.snapshot().is_empty()).then(|| ready.snapshot().clone());
            let store = self.node.mut_store();
            if let Some(hard_state) = ready.hs() {
                store.hard_state = hard_state.clone();
            }
            if let Some(snapshot) = &snapshot {
                let metadata = snapshot.get_metadata();
                let members = metadata.get_conf_state().clone();
                store.restart(members, (metadata.index, metadata.term));
            }
            store.append(&entries);
            self.node.advance_append_async(ready);
            self.decide(committed);
            if must_write || !self.pending.is_empty() {
                let written = self.writing.as_ref().map_or(0, |it| it.number);
                let pending = Pending { number, entries, snapshot, must_write, messages };
                match self.pending.back_mut().filter(|it| it.number > written) {
                    Some(last) if last.snapshot.is_none() && pending.snapshot.is_none() => {
                        last.add(pending);
                    }
                    _ => self.pending.push_back(pending),
                }
            } else {
                // At most the commit index moved. It follows from the log, and goes out with the
                // next write.
                self.sendable.extend(messages);
                self.node.on_persist_ready(number);
            }
        }
    }

    fn decide(&mut self, committed: Vec<Entry>) {
        let Some(last) = committed.last().map(|it| it.index) else { return };
        for entry in &committed {
            if entry.get_entry_type() == EntryType::EntryNormal {
                continue;
            }
            // One that Raft refuses is refused by every member alike.
            if let Ok(members) = self.node.apply_conf_change(&codec::membership_change(entry)) {
                self.node.mut_store().set_members(members);
                let nodes = self.members().nodes();
                self.hearing.keep(|id| nodes.contains(&node_id(id)));
            }
            // Raft's crate cannot do with a leader that does not belong to the quorum. One that is told so by
            // what an earlier leader had begun leaves the rest to the others, who elect one.
            let (id, term) = (self.node.raft.id, self.node.raft.term);
            if self.is_leader() && !self.members().voters.contains(&node_id(id)) {
                self.node.raft.become_follower(term, raft::INVALID_ID);
            }
        }
        self.node.advance_apply_to(last);
        self.decided.push_back(Decided::Entries(committed));
    }
}

/// The answer to entries from the first on of a member that joins: who belonged to the quorum before them is in none
/// of them, but in a snapshot.
fn wish_for_snapshot(append: &eraftpb::Message) -> eraftpb::Message {
    let mut wish = eraftpb::Message {
        to: append.from,
        from: append.to,
        term: append.term,
        reject: true,
        request_snapshot: 1,
        ..eraftpb::Message::default()
    };
    wish.set_msg_type(MessageType::MsgAppendResponse);
    wish
}

/// Those that go to others. See [`Message::is_sent`].
fn sent(mut messages: Vec<eraftpb::Message>) -> Vec<eraftpb::Message> {
    messages.retain(|it| Message::is_sent(it.get_msg_type()));
    messages
}

fn draw(rng: &mut Rng) -> usize {
    ELECTION_TICKS + rng.index(ELECTION_TICKS)
}
