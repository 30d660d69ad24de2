//! What the tests stand on: the server as a process, brokers real and scripted, and packets of our own making.

#[cfg(feature = "tls")]
pub mod certificates;
pub mod client;
pub mod fake_broker;
pub mod memory;
pub mod mosquitto;
pub mod packets;
pub mod schema;
pub mod server;
#[cfg(feature = "analysis")]
pub mod stream;
pub mod tools;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nothing a test waits for takes longer on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Asks `condition` until it gives a value; fails the test when it does not by the deadline. The only place that sleeps.
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_beyond(Duration::ZERO, what, condition)
}

/// The same for what the product itself gives so much time.
pub fn wait_beyond<T>(time: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory of a test's own, removed at its end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mqtt-mcp-it-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("a file for the test");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The package's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
