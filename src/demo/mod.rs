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
use std::rc::Rc;

use smol::LocalExecutor;

use crate::task;

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
    task::spawn(executor, serve::accept(listener, executor.clone(), begin)).detach();
    Ok(port)
}
