//! A playground: a small MQTT broker within this process, with simulated devices that live in real time.
//!
//! `--demo` binds a loopback port and adds it as the profile `demo`; broker and devices begin with the first
//! connection and end with the process. It is made to try things out without a broker at hand. Production uses a real
//! broker: this one keeps nothing, trusts every local client, and has small limits.

mod broker;
mod devices;
mod house;
mod pump;
mod scope;
mod serve;
mod session;
mod sys;
mod valve;
mod wire;

use std::io;
use std::pin::Pin;
use std::rc::Rc;

use smol::LocalExecutor;

/// The name of its profile.
pub const PROFILE: &str = "demo";

/// Listens on a loopback port, which it returns. The broker and its devices begin with the first connection.
pub fn listen(executor: &Rc<LocalExecutor<'static>>) -> io::Result<u16> {
    let (listener, port) = serve::bind()?;
    let tasks = executor.clone();
    let begin = move || {
        let shared = Rc::default();
        devices::begin(&shared, &tasks);
        shared
    };
    spawn(executor, Box::pin(serve::accept(listener, executor.clone(), begin)));
    Ok(port)
}

/// Starts a task. All are of one type, since the executor costs 2 kB of code for each.
fn spawn(executor: &LocalExecutor<'static>, task: Pin<Box<dyn Future<Output = ()>>>) {
    executor.spawn(task).detach();
}
