//! From one shard to another: whose partition it is, and the channels between the two.

use crate::{Case, batch};
use klamm::broker::api::data::{AppendRequest, Appended};
use klamm::broker::by_owner;
use klamm::broker::calls::{AppendBatches, AppendReply, CallRequest, Message, Reply, Trace};
use klamm::shard::router::{self, Bell, Ends, Inbox, Letter, Way};
use klamm::types::{ErrorCode, TopicId, TopicPartition};
use klamm::wire::records::BatchHeader;
use rustix::event::{PollFd, PollFlags, poll};
use std::hint::black_box;
use std::sync::Arc;

fn append(partition: i32) -> AppendRequest {
    let batch = batch(1, 512);
    let header = BatchHeader::parse(&batch).expect("a batch");
    let tp = TopicPartition { topic: TopicId([7; 16]), partition };
    AppendRequest::new(partition as u32, tp, batch, header)
}

struct Owners {
    appends: Vec<AppendRequest>,
    shards: usize,
    requests: Vec<Vec<AppendRequest>>,
    groups: Vec<Vec<(usize, Vec<AppendRequest>)>>,
}

/// Parts that many batches among shards.
pub fn owners(appends: i32, shards: usize) -> Box<dyn Case> {
    let appends = (0..appends).map(append).collect();
    Box::new(Owners { appends, shards, requests: Vec::new(), groups: Vec::new() })
}

impl Case for Owners {
    fn prepare(&mut self, runs: usize) {
        self.groups = Vec::with_capacity(runs);
        self.requests = vec![self.appends.clone(); runs];
    }

    fn run(&mut self, runs: usize) {
        for request in self.requests.drain(..runs) {
            self.groups.push(by_owner(request, self.shards, |it| it.tp));
        }
    }
}

/// A shard's ends of the channels to and from one other.
struct Side {
    way: Way,
    from: Inbox,
    bell: Arc<Bell>,
}

impl Side {
    fn new(ends: Ends) -> Self {
        let way = ends.to.into_iter().flatten().next().expect("a way to the other shard");
        let from = ends.from.into_iter().flatten().next().expect("a way from the other shard");
        Self { way, from, bell: ends.bell }
    }

    fn both() -> (Self, Self) {
        let mut ends = router::mesh(2).expect("two event descriptors");
        let (far, near) = (ends.remove(1), ends.remove(0));
        (Self::new(near), Self::new(far))
    }

    fn ask(&self, append: &AppendRequest) {
        let append =
            AppendBatches { batches: vec![append.clone()], routed: 0, committed_by_ms: None };
        let request = CallRequest::AppendBatches(append);
        self.way.send(Letter::Message(Message::Request { number: 7, request }));
    }

    fn answer(&self, letter: Letter) {
        let Letter::Message(Message::Request {
            number,
            request: CallRequest::AppendBatches(append),
        }) = letter
        else {
            panic!("not what was asked");
        };
        let appended = |it: &AppendRequest| Appended::failed(it.index, ErrorCode::NONE);
        let results = append.batches.iter().map(appended).collect();
        let reply = AppendReply { results, trace: Trace::default() };
        let reply = Reply::AppendBatches(reply);
        self.way.send(Letter::Message(Message::Reply { number, reply }));
    }

    /// Sleeps until there is a message.
    fn wait(&self) -> Letter {
        loop {
            self.bell.lie_down();
            if let Some(message) = self.from.take() {
                self.bell.get_up();
                return message;
            }
            let mut event = [PollFd::from_borrowed_fd(self.bell.event(), PollFlags::IN)];
            poll(&mut event, None).expect("a poll");
            self.bell.still();
            self.bell.get_up();
        }
    }
}

struct Channel {
    append: AppendRequest,
    near: Side,
    far: Side,
}

/// A request and its reply through the channels of two shards, both on this thread: what both of
/// them do for it, without the way between two cores.
pub fn channel() -> Box<dyn Case> {
    let (near, far) = Side::both();
    Box::new(Channel { append: append(0), near, far })
}

impl Case for Channel {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.near.ask(&self.append);
            self.far.answer(self.far.from.take().expect("the request"));
            black_box(self.near.from.take().expect("the reply"));
        }
    }
}

struct Threads {
    append: AppendRequest,
    near: Side,
}

/// The same between two threads, one request after the other: mostly the way there and back.
pub fn threads() -> Box<dyn Case> {
    let (near, far) = Side::both();
    // Ends with the process.
    std::thread::spawn(move || {
        loop {
            far.answer(far.wait());
        }
    });
    Box::new(Threads { append: append(0), near })
}

impl Case for Threads {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.near.ask(&self.append);
            black_box(self.near.wait());
        }
    }
}
