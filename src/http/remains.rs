//! Pages that were sent, or whose client has gone. What a page holds of a million offsets takes
//! milliseconds to free: others have their turn in between here too.

use super::metrics::Page;
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// See the module.
#[derive(Default)]
pub struct Remains(RefCell<(Vec<Page>, Option<Waker>)>);

impl Remains {
    /// A page that nobody wants any more.
    pub fn leave(&self, page: Page) {
        let (pages, waker) = &mut *self.0.borrow_mut();
        pages.push(page);
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }

    /// Frees a piece of a page; whether there is more.
    fn free_some(&self) -> bool {
        let pages = &mut self.0.borrow_mut().0;
        if pages.last_mut().is_some_and(|page| !page.free_some()) {
            pages.pop();
        }
        !pages.is_empty()
    }

    /// Frees what is left behind, until it is dropped.
    pub async fn free(&self) {
        loop {
            poll_fn(|cx| {
                let (pages, waker) = &mut *self.0.borrow_mut();
                if !pages.is_empty() {
                    return Poll::Ready(());
                }
                *waker = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            while self.free_some() {
                futures_lite::future::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::GroupFigures;
    use crate::shard::ProcessFigures;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn what_is_left_is_freed_a_piece_at_a_time() {
        let remains = Remains::default();
        let mut task = Box::pin(remains.free());
        let mut polls = || {
            assert!(block_on(poll_once(&mut task)).is_none());
            remains.0.borrow().0.len()
        };
        assert_eq!(polls(), 0);
        for _ in 0..2 {
            let groups = (0..10_000).map(|_| GroupFigures::default()).collect();
            remains.leave(Page::new(ProcessFigures::default(), Vec::new(), groups));
        }
        assert_eq!(polls(), 2, "not all in one go");
        let more = (0..1_000).take_while(|_| polls() > 0).count();
        assert!(more > 2 && more < 1_000, "{more}");
    }
}
