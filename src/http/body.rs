//! The body of an answer, piece by piece.

use super::metrics::Page;
use super::patience::Client;
use super::remains::Remains;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

enum Rest {
    Text(Option<&'static str>),
    /// Always there but for the drop.
    Page(Option<Box<Page>>, Rc<Remains>),
}

/// Text that is made while it is sent: between two pieces of a page, others have their turn.
pub struct Pieces {
    rest: Rest,
    /// The others have had their turn since the last piece.
    rested: bool,
    client: Rc<Client>,
}

impl Pieces {
    /// A page.
    pub fn of(page: Page, client: Rc<Client>, remains: Rc<Remains>) -> Self {
        Self { rest: Rest::Page(Some(Box::new(page)), remains), rested: true, client }
    }

    /// A text.
    pub fn one(text: &'static str, client: Rc<Client>) -> Self {
        Self { rest: Rest::Text(Some(text)), rested: true, client }
    }
}

impl Drop for Pieces {
    /// It is sent, or will never be.
    fn drop(&mut self) {
        self.client.waits();
        if let Rest::Page(page, remains) = &mut self.rest
            && let Some(page) = page.take()
        {
            remains.leave(*page);
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !std::mem::replace(&mut self.rested, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.rested = false;
        let next = match &mut self.rest {
            Rest::Text(text) => text.take().map(|it| Bytes::from_static(it.as_bytes())),
            Rest::Page(page, _) => page.as_mut().and_then(Iterator::next).map(Bytes::from),
        };
        Poll::Ready(next.map(|it| Ok(Frame::data(it))))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Text(text) => SizeHint::with_exact(text.map_or(0, str::len) as u64),
            Rest::Page(..) => SizeHint::default(),
        }
    }
}
