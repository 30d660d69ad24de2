//! Tasks of the one thread, and work that would block it. All tasks are of one type, and so is all work: executor and
//! thread pool are compiled once for each type, into 2 kB of code.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use smol::future::yield_now;
use smol::{LocalExecutor, Task};

/// Starts a task; dropping what is returned cancels it.
pub fn spawn(executor: &LocalExecutor<'static>, future: impl Future<Output = ()> + 'static) -> Task<()> {
    let future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    executor.spawn(future)
}

/// A future that leaves what `future` gives in `to`: tasks give nothing themselves.
pub fn into_cell<T, F: Future<Output = T>>(to: &Rc<Cell<T>>, future: F) -> impl Future<Output = ()> + use<T, F> {
    // Boxed: it would be held twice, as what is captured and as what is awaited.
    let (to, future) = (to.clone(), Box::pin(future));
    async move { to.set(future.await) }
}

/// Lets other tasks go on, and other processes that want the processor: one of them may be who is waited for.
pub async fn give_way() {
    std::thread::yield_now();
    yield_now().await;
}

/// Does on a helper thread what would block this one. A panic there is one here.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let result = Arc::new(Mutex::new(None));
    let to = result.clone();
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        let value = work();
        *to.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    });
    smol::unblock(work).await;
    result.lock().unwrap_or_else(PoisonError::into_inner).take().expect("the work is done")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_task_that_is_dropped_is_cancelled() {
        let executor = LocalExecutor::new();
        let done = Rc::new(Cell::new(0));
        let add = |number| {
            let done = done.clone();
            spawn(&executor, async move { done.set(done.get() + number) })
        };
        drop(add(1));
        smol::block_on(executor.run(add(2)));
        assert_eq!(done.get(), 2);
    }

    #[test]
    fn what_a_task_gives_is_left_where_it_was_asked_for() {
        let (executor, given) = (LocalExecutor::new(), Rc::new(Cell::new(0)));
        smol::block_on(executor.run(spawn(&executor, into_cell(&given, async { 7 }))));
        assert_eq!(given.get(), 7);
    }

    #[test]
    fn work_is_done_on_another_thread_and_panics_here() {
        let here = std::thread::current().id();
        assert_ne!(smol::block_on(aside(|| std::thread::current().id())), here);
        assert!(catch_unwind(|| smol::block_on(aside(|| panic!("on purpose")))).is_err());
    }
}
