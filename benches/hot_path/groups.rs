//! Heartbeats to a coordinator.

use crate::{Case, NOW_MS};
use bytes::Bytes;
use klamm::group::{
    Assignment, Coordinator, CoordinatorSettings, Effect, GroupRequest, GroupResponse, Heartbeat,
    Join, Protocol, Sync,
};
use klamm::types::{ErrorCode, Now};
use std::hint::black_box;

struct Heartbeats {
    coordinator: Coordinator,
    now_ms: i64,
    members: Vec<Heartbeat>,
    next: usize,
    requests: Vec<Heartbeat>,
    out: Vec<Effect>,
}

/// Answers to `requests`, by ticket, time passing as far as needed.
fn answers(
    coordinator: &mut Coordinator,
    now_ms: &mut i64,
    requests: Vec<GroupRequest>,
) -> Vec<GroupResponse> {
    let (mut out, mut left) = (Vec::new(), requests.len());
    let mut answers: Vec<Option<GroupResponse>> = requests.iter().map(|_| None).collect();
    for (ticket, request) in requests.into_iter().enumerate() {
        coordinator.request(Now::at(*now_ms), ticket as u64, request, &mut out);
    }
    while left > 0 {
        if coordinator.has_long() {
            coordinator.go_on_with_long(Now::at(*now_ms), usize::MAX, &mut out);
        } else if out.is_empty() {
            *now_ms = coordinator.next_deadline().expect("something to wait for").max(*now_ms);
            coordinator.tick(Now::at(*now_ms), &mut out);
        }
        for effect in std::mem::take(&mut out) {
            match effect {
                Effect::Append { write, .. } => {
                    coordinator.written(Now::at(*now_ms), write, Ok(()), &mut out);
                }
                Effect::End { .. } | Effect::Ended { .. } => {}
                Effect::Reply { ticket, response } => {
                    answers[ticket as usize] = Some(response);
                    left -= 1;
                }
            }
        }
    }
    answers.into_iter().flatten().collect()
}

/// One heartbeat, in turn of each of `members` members of each of `groups` groups, three seconds
/// for all of them.
pub fn heartbeat(groups: usize, members: usize) -> Box<dyn Case> {
    let mut coordinator = Coordinator::new(CoordinatorSettings::default());
    let mut now_ms = NOW_MS;
    coordinator.start(Now::at(now_ms), &mut Vec::new());
    let mut all = Vec::new();
    let of = |i: usize| format!("group-of-a-service-{:06}", i / members);
    let joins = (0..groups * members).map(|i| {
        GroupRequest::Join(Join {
            group_id: of(i),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata: Bytes::new() }],
            client_id: "service".into(),
            client_host: "/127.0.0.1".into(),
            fresh_member_id: format!("service-01234567-89ab-cdef-0123-{i:012}"),
            ..Join::default()
        })
    });
    let joined = answers(&mut coordinator, &mut now_ms, joins.collect());
    let mut syncs = Vec::new();
    for (i, answer) in joined.into_iter().enumerate() {
        let GroupResponse::Join(joined) = answer else { panic!("{answer:?}") };
        let assignments = joined.members.iter().map(|it| Assignment {
            member_id: it.member_id.clone(),
            assignment: Bytes::from_static(b"partitions"),
        });
        syncs.push(GroupRequest::Sync(Sync {
            group_id: of(i),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            assignments: assignments.collect(),
            ..Sync::default()
        }));
        all.push(Heartbeat {
            group_id: of(i),
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            group_instance_id: None,
        });
    }
    answers(&mut coordinator, &mut now_ms, syncs);
    Box::new(Heartbeats {
        coordinator,
        now_ms,
        members: all,
        next: 0,
        requests: Vec::new(),
        out: Vec::new(),
    })
}

impl Case for Heartbeats {
    fn prepare(&mut self, runs: usize) {
        self.requests.clear();
        for _ in 0..runs {
            self.requests.push(self.members[self.next].clone());
            self.next = (self.next + 1) % self.members.len();
        }
    }

    fn run(&mut self, runs: usize) {
        for request in self.requests.drain(..runs) {
            self.now_ms += 3;
            let request = GroupRequest::Heartbeat(request);
            self.coordinator.request(Now::at(self.now_ms), 1, request, &mut self.out);
            let Some(Effect::Reply { response: GroupResponse::Heartbeat(beat), .. }) =
                self.out.pop()
            else {
                panic!("a heartbeat is answered at once");
            };
            assert_eq!(beat.error, ErrorCode::NONE);
            black_box(self.coordinator.next_deadline());
        }
    }
}
