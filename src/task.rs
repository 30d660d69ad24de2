//! Tasks of the one thread, and work that would block it. All tasks are of one type, and so is all work: executor and
//! thread pool are compiled once for each type, into 2 kB of code.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use smol::{LocalExecutor, Task};

/// Starts a task; dropping what is returned cancels it.
pub fn spawn(executor: &LocalExecutor<'static>, future: impl Future<Output = ()> + 'static) -> Task<()> {
    let future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    executor.spawn(future)
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
    use std::cell::Cell;
    use std::panic::catch_unwind;
    use std::rc::Rc;

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
    fn work_is_done_on_another_thread_and_panics_here() {
        let here = std::thread::current().id();
        assert_ne!(smol::block_on(aside(|| std::thread::current().id())), here);
        assert!(catch_unwind(|| smol::block_on(aside(|| panic!("on purpose")))).is_err());
    }
}
