//! The deadlines of calls, which share one timer of the reactor. A timer that is set costs the reactor a wake-up, most
//! calls end long before their deadline, and the next one's is later: then the timer stays as it is.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_io::Timer;

use crate::notify::Notify;

/// One for the whole process; [`Deadlines::keep`] must run beside what waits.
#[derive(Debug, Default)]
pub struct Deadlines {
    waiting: RefCell<Vec<Waiting>>,
    last_key: Cell<u64>,
    /// When the timer goes off: no later than the first deadline.
    set_to: Cell<Option<Instant>>,
    earlier: Notify,
}

#[derive(Debug)]
struct Waiting {
    key: u64,
    at: Instant,
    waker: Waker,
}

/// Takes what waits out of the list at its end.
struct Entry<'a> {
    deadlines: &'a Deadlines,
    key: u64,
}

impl Deadlines {
    /// The future's value, or `None` at the deadline.
    pub async fn until<T>(&self, at: Instant, mut future: Pin<&mut dyn Future<Output = T>>) -> Option<T> {
        let mut entry = None;
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if Instant::now() >= at => Poll::Ready(None),
            Poll::Pending => {
                let key = entry.get_or_insert_with(|| self.enter()).key;
                self.wait(key, at, cx);
                Poll::Pending
            }
        })
        .await
    }

    /// Wakes what waits, each at its time; runs as long as the process.
    pub async fn keep(&self) {
        let mut timer = Timer::never();
        loop {
            let seen = self.earlier.epoch();
            let now = Instant::now();
            let passed: Vec<_> = self.waiting.borrow_mut().extract_if(.., |waiting| waiting.at <= now).collect();
            passed.into_iter().for_each(|waiting| waiting.waker.wake());
            self.set_to.set(self.set_to.get().filter(|at| *at > now));
            let first = self.waiting.borrow().iter().map(|waiting| waiting.at).min();
            if let Some(at) = first.filter(|at| self.is_earlier(*at)) {
                self.set_to.set(Some(at));
                timer.set_at(at);
            }
            poll_fn(|cx| match self.earlier.poll_changed(seen, cx) {
                Poll::Pending => Pin::new(&mut timer).poll(cx).map(|_| ()),
                ready => ready,
            })
            .await;
        }
    }

    fn enter(&self) -> Entry<'_> {
        self.last_key.set(self.last_key.get() + 1);
        Entry { deadlines: self, key: self.last_key.get() }
    }

    fn wait(&self, key: u64, at: Instant, cx: &Context<'_>) {
        let mut list = self.waiting.borrow_mut();
        match list.iter_mut().find(|waiting| waiting.key == key) {
            Some(waiting) => waiting.waker.clone_from(cx.waker()),
            None => list.push(Waiting { key, at, waker: cx.waker().clone() }),
        }
        if self.is_earlier(at) {
            self.earlier.notify();
        }
    }

    fn is_earlier(&self, at: Instant) -> bool {
        self.set_to.get().is_none_or(|set_to| at < set_to)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.deadlines.waiting.borrow_mut().retain(|waiting| waiting.key != self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::pin::pin;

    use smol::future::{or, pending, yield_now, zip};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn run<T>(deadlines: &Deadlines, future: impl Future<Output = T>) -> T {
        smol::block_on(or(future, async {
            deadlines.keep().await;
            pending().await
        }))
    }

    #[test]
    fn each_ends_at_its_own_deadline_whatever_their_order() {
        let deadlines = Deadlines::default();
        let began = Instant::now();
        let after = |ms: u32| {
            let deadlines = &deadlines;
            async move {
                assert_eq!(deadlines.until(began + MS * ms, pin!(pending::<()>())).await, None);
                assert!(began.elapsed() >= MS * ms);
            }
        };
        run(&deadlines, zip(after(30), zip(after(10), zip(after(20), after(10)))));
        assert!(deadlines.waiting.borrow().is_empty());
    }

    #[test]
    fn what_ends_before_gives_its_value_and_leaves_nothing_behind() {
        let deadlines = Deadlines::default();
        let far = Instant::now() + MS * 60_000;
        run(&deadlines, async {
            for n in 0..3 {
                let value = pin!(async {
                    yield_now().await;
                    n
                });
                assert_eq!(deadlines.until(far + MS * n, value).await, Some(n));
                assert!(deadlines.waiting.borrow().is_empty());
            }
            assert_eq!(deadlines.set_to.get(), Some(far), "the first timer still stands");
            assert_eq!(
                deadlines.until(Instant::now() + MS, pin!(pending::<()>())).await,
                None,
                "an earlier one moves it"
            );
            assert_eq!(
                deadlines.until(Instant::now(), pin!(async { 7 })).await,
                Some(7),
                "a value that is there counts"
            );
            drop(deadlines.until(far, pin!(pending::<()>())));
        });
    }
}
