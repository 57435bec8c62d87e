//! A consumer that follows KIP-848 as its text says, and no more: for histories.

use super::partitions::{self, Partitions};
use super::request::ConsumerHeartbeat;
use super::response::ConsumerHeartbeaten;
use crate::group::effect::Ticket;
use crate::types::ErrorCode;

pub const REBALANCE_MS: i32 = 30_000;
pub const HEARTBEAT_MS: i64 = 5_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct NaiveMember {
    pub id: String,
    pub instance: Option<String>,
    pub epoch: i32,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub owned: Partitions,
    /// What it was told to have, and has not done yet.
    pub told: Option<Partitions>,
    /// It says everything with the next heartbeat: it joins, or an answer was lost.
    pub full: bool,
    pub waits: Option<Ticket>,
    /// It has ended.
    pub gone: bool,
    /// It does nothing until then.
    pub paused_until_ms: i64,
    pub next_ms: i64,
}

impl NaiveMember {
    pub fn new(id: String, instance: Option<String>, topics: Vec<String>) -> Self {
        Self {
            id,
            instance,
            epoch: 0,
            topics,
            regex: None,
            owned: Partitions::new(),
            told: None,
            full: true,
            waits: None,
            gone: false,
            paused_until_ms: 0,
            next_ms: 0,
        }
    }

    /// Its next heartbeat.
    pub fn beat(&self, group_id: &str) -> ConsumerHeartbeat {
        let mut beat = ConsumerHeartbeat {
            group_id: group_id.to_owned(),
            member_id: self.id.clone(),
            requires_member_id: true,
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            owned: Some(self.owned.clone()),
            ..ConsumerHeartbeat::default()
        };
        if self.full || self.epoch == 0 {
            beat.rebalance_timeout_ms = REBALANCE_MS;
            beat.topics = Some(self.topics.clone());
            beat.regex = Some(self.regex.clone().unwrap_or_default());
        }
        beat
    }

    /// It does what it was told: gives up first, then takes. One that has just said what it has takes nothing
    /// before it is answered: what it has not taken may be another's by now.
    pub fn do_as_told(&mut self) {
        if self.waits.is_none()
            && let Some(told) = self.told.take()
        {
            self.owned = told;
        }
    }

    /// It hears an answer.
    pub fn hears(&mut self, it: &ConsumerHeartbeaten) {
        match it.error {
            ErrorCode::NONE => {
                self.epoch = it.member_epoch;
                self.full = false;
                if let Some(assignment) = &it.assignment {
                    self.told = Some(assignment.clone());
                }
            }
            // It gives up everything, and begins anew.
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.owned = Partitions::new();
                self.told = None;
                self.epoch = 0;
                self.full = true;
            }
            // It comes again; static members wait for the place of their former selves.
            ErrorCode::UNRELEASED_INSTANCE_ID
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::UNKNOWN_SERVER_ERROR => self.full = true,
            ErrorCode::FENCED_INSTANCE_ID => {
                self.owned = Partitions::new();
                self.gone = true;
            }
            other => panic!("{other:?}: {:?}", it.error_message),
        }
    }

    /// Whether all that it has is in `set`.
    pub fn has_only(&self, set: &Partitions) -> bool {
        partitions::is_subset(&self.owned, set)
    }
}
