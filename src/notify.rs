//! Wake-ups between tasks of the one thread: no lock, and no allocation for a waiter that comes again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// A condition may have changed: waiters look again. Spurious wake-ups are allowed, lost ones are not.
#[derive(Debug, Default)]
pub struct Notify {
    epoch: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Notify {
    /// Wakes every waiter.
    pub fn notify(&self) {
        self.epoch.set(self.epoch.get() + 1);
        let mut woken = std::mem::take(&mut *self.waiting.borrow_mut());
        woken.drain(..).for_each(Waker::wake);
        // The same ones wait again, mostly.
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            *waiting = woken;
        }
    }

    /// What to hand to [`Notify::poll_changed`]: take it before looking at the condition.
    pub fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    /// Ready when [`Notify::notify`] was called after `seen` was taken.
    // Once for all conditions that are waited for.
    #[inline(never)]
    pub fn poll_changed(&self, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.epoch.get() != seen {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until `condition` gives a value; it is asked at once, and at least after every notification.
    // Half the code of an `async fn`, for each of the many conditions.
    pub fn until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> impl Future<Output = T> {
        poll_fn(move |cx| {
            loop {
                let seen = self.epoch();
                if let Some(value) = condition() {
                    return Poll::Ready(value);
                }
                if self.poll_changed(seen, cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn every_waiter_sees_the_change() {
        let executor = smol::LocalExecutor::new();
        let notify = Rc::new(Notify::default());
        let value = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (notify, value) = (notify.clone(), value.clone());
                executor.spawn(async move { notify.until(|| Some(value.get()).filter(|v| *v > 1)).await })
            })
            .collect();
        smol::block_on(executor.run(async {
            for step in 1..=2 {
                smol::future::yield_now().await;
                value.set(step);
                notify.notify();
            }
            for task in tasks {
                assert_eq!(task.await, 2);
            }
        }));
    }
}
