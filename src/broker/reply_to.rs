//! Where the answer to a call goes. Dropping it says that the call was given up.

use super::calls::{Call, Message, Reply, ShardId};
use super::output::{Output, Outputs};
use super::wait::{Receiver, Sender, oneshot};

/// See the module.
pub struct ReplyTo<C: Call>(Option<Way<C>>);

enum Way<C: Call> {
    Function(Box<dyn FnOnce(Option<C::Reply>)>),
    Task(Sender<C::Reply>),
    Shard { outputs: Outputs, asker: ShardId, number: u64 },
}

impl<C: Call> ReplyTo<C> {
    /// To a function on this shard.
    pub fn function(then: impl FnOnce(Option<C::Reply>) + 'static) -> Self {
        Self(Some(Way::Function(Box::new(then))))
    }

    /// To a task on this shard.
    pub fn task() -> (Self, Receiver<C::Reply>) {
        let (tx, rx) = oneshot();
        (Self(Some(Way::Task(tx))), rx)
    }

    /// To the shard that asks, which calls it by this number.
    pub(super) fn shard(outputs: Outputs, asker: ShardId, number: u64) -> Self {
        Self(Some(Way::Shard { outputs, asker, number }))
    }

    /// The asker's number of a call that came from another shard.
    pub fn number(&self) -> Option<u64> {
        match &self.0 {
            Some(Way::Shard { number, .. }) => Some(*number),
            _ => None,
        }
    }

    /// Answers.
    pub fn reply(mut self, reply: C::Reply) {
        match self.0.take() {
            Some(Way::Function(then)) => then(Some(reply)),
            Some(Way::Task(sender)) => sender.send(reply),
            Some(Way::Shard { outputs, asker, number }) => {
                let message = Message::Reply { number, reply: C::wrap(reply) };
                outputs.push(Output::Message { to: asker, message });
            }
            None => {}
        }
    }
}

impl<C: Call> Drop for ReplyTo<C> {
    fn drop(&mut self) {
        // A task that waits hears of it as its sender goes.
        match self.0.take() {
            Some(Way::Function(then)) => then(None),
            Some(Way::Shard { outputs, asker, number }) => {
                let message = Message::Reply { number, reply: Reply::GivenUp };
                outputs.push(Output::Message { to: asker, message });
            }
            Some(Way::Task(_)) | None => {}
        }
    }
}
