//! What a panic ends: one request, or the process.

use super::Output;
use super::calls::{AppendBatches, CallRequest, Message, Notice, Reply};
use super::logs_tests::image;
use super::reply_to::ReplyTo;
use super::state::State;
use super::testing::parts;
use super::waiting::Waiting;
use super::waits::Hears;
use crate::storage::buffer::Budget;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::Now;
use std::rc::Rc;

pub(super) fn state() -> Rc<State> {
    let parts = parts(&Disk::Sim(SimDisk::new(1)), &image(1, &[]), Budget::new(64 << 20));
    State::new(parts, Now::at(0))
}

fn fatal(state: &State) -> Option<i32> {
    std::iter::from_fn(|| state.outputs.pop()).find_map(|it| match it {
        Output::Fatal { exit_code, .. } => Some(exit_code),
        _ => None,
    })
}

#[test]
fn a_panic_in_a_request_ends_that_request() {
    let state = state();
    assert!(state.contain(|| panic!("as asked")).is_none());
    state.start(async { panic!("as asked") });
    assert_eq!(fatal(&state), None);
}

#[test]
fn a_request_that_panics_while_it_waits_is_forgotten() {
    let state = state();
    let waits = state.clone();
    state.start(async move {
        let wait = Waiting::begin(&waits, Hears::Call(3, 9));
        wait.noted(5);
        assert_eq!(waits.waits.len(), 1);
        panic!("as asked");
    });
    assert_eq!(state.waits.len(), 0);
    let forgets =
        |it| matches!(it, Output::Message { to: 5, message: Message::Notice(Notice::Forget(_)) });
    assert!(std::iter::from_fn(|| state.outputs.pop()).any(forgets));
}

#[test]
fn a_panic_in_a_read_leaves_the_logs_usable() {
    let state = state();
    assert!(state.contain(|| state.read_logs(|_| panic!("as asked"))).is_none());
    assert_eq!(fatal(&state), None);
    assert!(state.read_logs(|logs| logs.is_quiet()));
}

#[test]
fn a_panic_in_a_change_ends_the_process() {
    let state = state();
    assert!(state.contain(|| state.change_logs(|_| panic!("as asked"))).is_none());
    assert_eq!(fatal(&state), Some(70), "EX_SOFTWARE");
}

#[test]
fn a_call_that_is_given_up_is_answered() {
    let state = state();
    let call = CallRequest::AppendBatches(AppendBatches {
        batches: Vec::new(),
        routed: 0,
        committed_by_ms: None,
    });
    state.message(3, Message::Request { number: 9, request: call });
    let answers = |state: &State| {
        std::iter::from_fn(|| state.outputs.pop()).find_map(|it| match it {
            Output::Message { to: 3, message: Message::Reply { number, reply } } => {
                Some((number, matches!(reply, Reply::GivenUp)))
            }
            _ => None,
        })
    };
    assert_eq!(answers(&state), Some((9, false)));
    drop(ReplyTo::<AppendBatches>::shard(state.outputs.clone(), 3, 10));
    assert_eq!(answers(&state), Some((10, true)));
}
