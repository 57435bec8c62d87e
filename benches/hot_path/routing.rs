//! From one shard to another: whose partition it is, and the channels between the two.

use crate::{Case, batch};
use futures_lite::FutureExt;
use futures_lite::future::zip;
use glommio::channels::shared_channel::ConnectedReceiver;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use klamm::broker::api::data::{AppendRequest, Appended};
use klamm::broker::by_owner;
use klamm::broker::calls::{Append, AppendReply, Message, Reply, Request, Trace};
use klamm::shard::router::{self, Ends, Way};
use klamm::types::{ErrorCode, TopicId, TopicPartition};
use klamm::wire::records::BatchHeader;
use std::hint::black_box;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn append(partition: i32) -> AppendRequest {
    let batch = batch(1, 512);
    AppendRequest {
        index: partition as u32,
        tp: TopicPartition { topic: TopicId([7; 16]), partition },
        header: BatchHeader::parse(&batch).expect("a batch"),
        batch,
    }
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
    way: Rc<Way>,
    from: ConnectedReceiver<Message>,
}

impl Side {
    async fn connect(ends: Ends) -> Self {
        let (ways, mut from) = router::connect(ends).await;
        let way = ways.into_iter().flatten().next().expect("a way to the other shard");
        Self { way, from: from.remove(0).1 }
    }

    fn ask(&self, append: &AppendRequest) {
        let append = Append { batches: vec![append.clone()], routed: 0 };
        self.way.send(Message::Request { number: 7, request: Request::Append(append) });
    }

    fn answer(&self, message: Message) {
        let Message::Request { number, request: Request::Append(append) } = message else {
            panic!("not what was asked");
        };
        let appended = |it: &AppendRequest| Appended::failed(it.index, ErrorCode::NONE);
        let results = append.batches.iter().map(appended).collect();
        let reply = AppendReply { results, trace: Trace::default() };
        self.way.send(Message::Reply { number, reply: Reply::Append(reply) });
    }

    /// What must be there.
    fn take(&self) -> Message {
        let received = pin!(self.from.recv()).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Some(message)) = received else { panic!("no message") };
        message
    }
}

/// As the broker has it, on any core, and with time enough to begin: what is preempted before it ran
/// anything parks, and below valgrind half a millisecond is over before that.
fn executor() -> LocalExecutor {
    LocalExecutorBuilder::new(Placement::Unbound)
        .spin_before_park(Duration::from_micros(30))
        .preempt_timer(Duration::from_secs(10))
        .io_memory(64 << 10)
        .make()
        .expect("an executor needs io_uring")
}

/// Lets no side wait for a message that it has overlooked.
async fn wake<T>() -> T {
    loop {
        glommio::timer::sleep(Duration::from_millis(5)).await;
    }
}

struct Channel {
    append: AppendRequest,
    near: Side,
    far: Side,
    _executor: LocalExecutor,
}

/// A request and its reply through the channels of two shards, both on this thread: what both of
/// them do for it, without the way between two cores.
pub fn channel() -> Box<dyn Case> {
    let executor = executor();
    let mut ends = router::mesh(2);
    let (far, near) = (ends.remove(1), ends.remove(0));
    let (near, far) = executor.run(zip(Side::connect(near), Side::connect(far)).or(wake()));
    Box::new(Channel { append: append(0), near, far, _executor: executor })
}

impl Case for Channel {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.near.ask(&self.append);
            self.far.answer(self.far.take());
            black_box(self.near.take());
        }
    }
}

struct Threads {
    append: AppendRequest,
    near: Side,
    executor: LocalExecutor,
}

/// The same between two threads, one request after the other: mostly the way there and back.
pub fn threads() -> Box<dyn Case> {
    let executor = executor();
    let mut ends = router::mesh(2);
    let (far, near) = (ends.remove(1), ends.remove(0));
    // Ends when the near side is dropped.
    std::thread::spawn(move || {
        let serve = async {
            let far = Side::connect(far).await;
            while let Some(message) = far.from.recv().await {
                far.answer(message);
            }
        };
        self::executor().run(serve.or(wake()));
    });
    let near = executor.run(Side::connect(near).or(wake()));
    Box::new(Threads { append: append(0), near, executor })
}

impl Case for Threads {
    fn run(&mut self, runs: usize) {
        let ask = async {
            for _ in 0..runs {
                self.near.ask(&self.append);
                black_box(self.near.from.recv().await);
            }
        };
        self.executor.run(ask.or(wake()));
    }
}
