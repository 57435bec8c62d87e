//! The tasks of one broker: futures that the broker itself runs, in a fixed order.
//!
//! Nothing outside wakes a task. It waits for a value or a condition of [`wait`](super::wait), or for
//! a moment of [`timers`](super::timers), and each of these is moved by an input to the broker. So the
//! same inputs give the same order of steps, which the simulator relies on, and a crash of the
//! simulated process is [`Tasks::clear`].
//!
//! A general executor would do as well, but for three things: it holds its tasks in a cycle with the
//! state that they own a part of, it does not count steps, and it would catch panics where nobody
//! can tell whose they are.

use slab::Slab;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Keys of tasks that can go on, oldest first. A `Waker` must be `Sync`, hence the lock, which is
/// never contended: tasks, and what wakes them, live on one thread.
#[derive(Debug, Default)]
struct Ready(Mutex<VecDeque<usize>>);

impl Ready {
    fn push(&self, key: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(key);
    }

    fn pop(&self) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Wakes the task of one key. It stays with the key when its task ends: a late wake of an earlier
/// task runs a later one once for nothing.
#[derive(Debug)]
struct KeyWaker {
    key: usize,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for KeyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.key);
        }
    }
}

/// How one step of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It waits for something, or has ended.
    Ran,
    /// It panicked, and is gone.
    Panicked,
}

/// See the module.
#[derive(Default)]
pub struct Tasks {
    /// `None` while the task runs.
    slots: RefCell<Slab<Option<Task>>>,
    /// By key, of every key that was ever used.
    wakers: RefCell<Vec<(Arc<KeyWaker>, Waker)>>,
    ready: Arc<Ready>,
}

impl Tasks {
    /// Runs a task as far as it goes now; the rest when it is woken.
    pub fn start(&self, task: impl Future<Output = ()> + 'static) -> Step {
        let key = self.slots.borrow_mut().insert(None);
        self.poll(key, Box::pin(task))
    }

    fn waker(&self, key: usize) -> (Arc<KeyWaker>, Waker) {
        let mut wakers = self.wakers.borrow_mut();
        while wakers.len() <= key {
            let waker = Arc::new(KeyWaker {
                key: wakers.len(),
                queued: AtomicBool::new(false),
                ready: self.ready.clone(),
            });
            wakers.push((waker.clone(), Waker::from(waker)));
        }
        wakers[key].clone()
    }

    fn poll(&self, key: usize, mut task: Task) -> Step {
        let (own, waker) = self.waker(key);
        own.queued.store(false, Ordering::Relaxed);
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
        let mut tasks = self.slots.borrow_mut();
        if matches!(polled, Ok(Poll::Pending)) {
            // Gone where `clear` was called meanwhile.
            if let Some(place) = tasks.get_mut(key) {
                *place = Some(task);
            }
            return Step::Ran;
        }
        tasks.try_remove(key);
        drop(tasks);
        // What it owned is dropped when nothing is borrowed here.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(task)));
        if polled.is_ok() && dropped.is_ok() { Step::Ran } else { Step::Panicked }
    }

    /// Runs the task that has been ready longest, one step; `None` where none is.
    pub fn run_one(&self) -> Option<Step> {
        loop {
            let key = self.ready.pop()?;
            let task = self.slots.borrow_mut().get_mut(key).and_then(Option::take);
            match task {
                Some(task) => return Some(self.poll(key, task)),
                // It ended before this wake came.
                None => self.waker(key).0.queued.store(false, Ordering::Relaxed),
            }
        }
    }

    /// Whether a task can go on.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Tasks that have not ended.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Drops all tasks where they stand.
    pub fn clear(&self) {
        // Dropping a task may wake others, or end what they wait for.
        let slots = std::mem::take(&mut *self.slots.borrow_mut());
        drop(slots);
    }
}

/// Lets every other task that is ready run once before the caller goes on.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::wait::oneshot;
    use std::rc::Rc;

    fn run(tasks: &Tasks) {
        while tasks.run_one().is_some() {}
    }

    #[test]
    fn tasks_take_turns_in_the_order_in_which_they_were_woken() {
        let (tasks, log) = (Tasks::default(), Rc::new(RefCell::new(Vec::new())));
        for name in ["a", "b"] {
            let log = log.clone();
            tasks.start(async move {
                for step in 0..3 {
                    log.borrow_mut().push((name, step));
                    yield_now().await;
                }
            });
        }
        run(&tasks);
        let all = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)];
        assert_eq!(*log.borrow(), all);
        assert_eq!(tasks.len(), 0);
    }

    #[test]
    fn a_panic_ends_one_task_and_is_told() {
        let tasks = Tasks::default();
        let (tx, rx) = oneshot();
        let heard = Rc::new(RefCell::new(None));
        let into = heard.clone();
        tasks.start(async move { *into.borrow_mut() = rx.await });
        let panics = async {
            yield_now().await;
            panic!("as asked");
        };
        assert_eq!(tasks.start(panics), Step::Ran);
        assert_eq!(tasks.run_one(), Some(Step::Panicked));
        tx.send(7);
        run(&tasks);
        assert_eq!(*heard.borrow(), Some(7));
    }

    #[test]
    fn what_was_cleared_does_not_run_and_late_wakes_are_harmless() {
        let tasks = Tasks::default();
        let (tx, rx) = oneshot::<u8>();
        tasks.start(async move {
            rx.await;
        });
        tasks.clear();
        tx.send(1);
        assert_eq!((tasks.run_one(), tasks.len()), (None, 0));
        let done = Rc::new(RefCell::new(0));
        let into = done.clone();
        tasks.start(async move {
            yield_now().await;
            *into.borrow_mut() += 1;
        });
        run(&tasks);
        assert_eq!(*done.borrow(), 1);
    }
}
