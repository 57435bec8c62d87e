//! Members of a consumer group: they join, are assigned something, beat, commit, leave, or vanish. Some
//! are static (KIP-345): they come back under another id, and the former one is fenced.

use super::group::{
    Committing, commit, committed, committed_fetched, coordinator_found, fetch_committed,
    find_coordinator, is_elsewhere, some_logs,
};
use crate::checkers::Facts;
use crate::client::{Asked, Cx, Link, Role};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::heartbeat_request::HeartbeatRequest;
use klamm::wire::kafka::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use klamm::wire::kafka::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use klamm::wire::kafka::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lost,
    Out,
    Joining,
    Syncing,
    Stable,
    Leaving,
}

pub struct Member {
    number: usize,
    group: String,
    stage: Stage,
    id: String,
    generation: i32,
    /// `group.instance.id`.
    instance: Option<String>,
    /// What it was before it was restarted, where another id has certainly taken the place: the id, the
    /// generation, and the life of the broker.
    former: Option<(String, i32, u64)>,
    /// Its id before it was restarted.
    before: String,
    next_ms: i64,
}

/// The name of a static member's instance. Its ids begin with that.
pub fn instance(number: usize) -> String {
    format!("static-{number}")
}

impl Member {
    pub fn new(number: usize, group: &str, is_static: bool) -> Self {
        Self {
            number,
            group: group.to_owned(),
            stage: Stage::Lost,
            id: String::new(),
            generation: -1,
            instance: is_static.then(|| instance(number)),
            former: None,
            before: String::new(),
            next_ms: 0,
        }
    }

    fn join(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: cx.rng.between(6000, 9000) as i32,
            rebalance_timeout_ms: cx.rng.between(500, 6000) as i32,
            member_id: &self.id,
            group_instance_id: self.instance.as_deref(),
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"any" }],
            reason: None,
        };
        let floor = cx.facts.generations.floor(&self.group);
        link.send(cx, &request, Asked::Join { floor });
        self.stage = Stage::Joining;
    }

    fn sync(&mut self, cx: &mut Cx<'_>, link: &mut Link, members: &[String]) {
        let shares: Vec<Vec<u8>> = members
            .iter()
            .map(|it| format!("{} {it} {}", self.generation, cx.rng.bits()).into_bytes())
            .collect();
        for (member, share) in members.iter().zip(&shares) {
            cx.facts.generations.assigning(&self.group, self.generation, member, share);
        }
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance.as_deref(),
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: members
                .iter()
                .zip(&shares)
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect(),
        };
        link.send(cx, &request, Asked::Sync { generation: self.generation });
        self.stage = Stage::Syncing;
    }

    fn committing(&self) -> Committing<'_> {
        let (member, instance) = (self.id.as_str(), self.instance.as_deref());
        Committing { member, instance, generation: self.generation, fenced: false }
    }

    /// A commit of what was replaced is refused, whatever else may be wrong with it.
    fn fenced(&self, cx: &mut Cx<'_>, errors: &[ErrorCode]) {
        for error in errors {
            let expected = matches!(
                *error,
                // Its session has ended: the instance is not there any more, or not even the group.
                ErrorCode::FENCED_INSTANCE_ID
                    | ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::ILLEGAL_GENERATION
                    | ErrorCode::GROUP_ID_NOT_FOUND
            );
            assert!(expected || is_elsewhere(*error), "{}: a fenced commit: {error}", self.group);
            cx.facts.counts.fenced += u64::from(*error == ErrorCode::FENCED_INSTANCE_ID);
        }
    }

    /// An error says where the member stands.
    fn refused(&mut self, what: &str, error: ErrorCode) {
        self.stage = match error {
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => Stage::Out,
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.id.clear();
                Stage::Out
            }
            // A join of its own, whose answer was lost, has given the place to another id.
            ErrorCode::FENCED_INSTANCE_ID if self.instance.is_some() => {
                self.id.clear();
                Stage::Out
            }
            ErrorCode::KAFKA_STORAGE_ERROR => self.stage,
            error if is_elsewhere(error) => Stage::Lost,
            error => panic!("{}: {what}: {error}", self.group),
        };
    }

    fn joined(&mut self, cx: &mut Cx<'_>, link: &mut Link, reply: &Reply, asked: &Asked) {
        let Asked::Join { floor } = asked else { return };
        let response = reply.read::<JoinGroupRequest<'_>>().expect("an answer");
        self.stage = Stage::Out;
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                response.member_id.clone_into(&mut self.id);
                return;
            }
            error => return self.refused("join", error),
        }
        cx.facts.counts.rebalances += u64::from(response.leader == response.member_id);
        let before = std::mem::take(&mut self.before);
        if self.instance.is_some() && !before.is_empty() && before != response.member_id {
            cx.facts.counts.replaced += 1;
            self.former = Some((before, self.generation, cx.life));
        }
        response.member_id.clone_into(&mut self.id);
        self.generation = response.generation_id;
        cx.facts.generations.joined(&self.group, self.generation, response.leader, *floor);
        let members: Vec<String> =
            response.members.iter().map(|it| it.member_id.to_owned()).collect();
        // A leader that was restarted is not to assign anything: all keep what they have.
        self.sync(cx, link, if response.skip_assignment { &[] } else { &members });
    }

    fn live(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        match cx.rng.below(100) {
            0..=39 => {
                let request = HeartbeatRequest {
                    group_id: &self.group,
                    generation_id: self.generation,
                    member_id: &self.id,
                    group_instance_id: self.instance.as_deref(),
                };
                link.send(cx, &request, Asked::Heartbeat);
            }
            40..=59 => commit(cx, link, &self.group, self.committing()),
            // What it was before it was restarted is still running somewhere.
            60..=69 => match &self.former {
                Some((member, generation, life)) if *life == cx.life => {
                    let (generation, instance) = (*generation, self.instance.as_deref());
                    let who = Committing { member, instance, generation, fenced: true };
                    commit(cx, link, &self.group, who);
                }
                _ => commit(cx, link, &self.group, self.committing()),
            },
            70..=89 => {
                let keys = some_logs(cx);
                fetch_committed(cx, link, &self.group, keys);
            }
            90..=95 => {
                let request = LeaveGroupRequest {
                    group_id: &self.group,
                    member_id: "",
                    members: vec![MemberIdentity {
                        member_id: &self.id,
                        group_instance_id: self.instance.as_deref(),
                        ..MemberIdentity::default()
                    }],
                };
                link.send(cx, &request, Asked::Leave);
                self.stage = Stage::Leaving;
            }
            // It joins again of itself, as one that follows other topics does.
            _ => self.stage = Stage::Out,
        }
    }
}

impl Role for Member {
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        if cx.now.monotonic_ms < self.next_ms || !link.sent.is_empty() || cx.calm {
            return;
        }
        self.next_ms = cx.now.monotonic_ms + cx.rng.between(1, 400) as i64;
        match self.stage {
            Stage::Lost => find_coordinator(cx, link, &self.group),
            Stage::Out => self.join(cx, link),
            Stage::Stable => self.live(cx, link),
            Stage::Joining | Stage::Syncing | Stage::Leaving => {}
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, link: &mut Link, asked: Asked, reply: Option<&Reply>) {
        let reply = reply.expect("an answer");
        match &asked {
            Asked::FindCoordinator => {
                if coordinator_found(reply) {
                    self.stage = Stage::Out;
                }
            }
            Asked::Join { .. } => self.joined(cx, link, reply, &asked),
            Asked::Sync { generation } => {
                let response = reply.read::<SyncGroupRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.error_code);
                if error.is_err() {
                    self.stage = Stage::Out;
                    return self.refused("sync", error);
                }
                self.stage = Stage::Stable;
                let generations = &mut cx.facts.generations;
                generations.assigned(&self.group, *generation, &self.id, response.assignment);
            }
            Asked::Heartbeat => {
                let response = reply.read::<HeartbeatRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.error_code);
                if error.is_err() {
                    self.refused("heartbeat", error);
                }
            }
            Asked::Leave => {
                self.id.clear();
                self.former = None;
                self.stage = Stage::Out;
            }
            Asked::Commit { commits, fenced: true } => {
                let errors = committed(cx, &self.group, commits, reply);
                self.fenced(cx, &errors);
                let sure = commits.iter().all(|(_, stamp, _)| cx.facts.topics.holds(*stamp));
                let all = errors.len() == commits.len();
                assert!(all || !sure, "{}: a fenced member has committed", self.group);
            }
            Asked::Commit { commits, .. } => {
                for error in committed(cx, &self.group, commits, reply) {
                    self.refused("commit", error);
                }
            }
            Asked::FetchCommitted { keys, moment } => {
                committed_fetched(cx, &self.group, keys, *moment, reply);
            }
            _ => unreachable!("a member asks nothing else"),
        }
    }

    fn lost(&mut self, _: &mut Cx<'_>, _: Asked) {}

    fn disconnected(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Lost;
        // It comes back as itself, or as one that was restarted.
        if cx.rng.chance(50) {
            let id = std::mem::take(&mut self.id);
            if !id.is_empty() {
                self.before = id;
            }
        }
    }

    fn is_done(&self, _: &Facts) -> bool {
        true
    }

    fn wake_ms(&self) -> i64 {
        self.next_ms
    }

    fn name(&self) -> String {
        format!("member-{}", self.number)
    }
}
