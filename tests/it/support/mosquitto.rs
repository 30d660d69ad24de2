//! A real Mosquitto on a loopback port of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Directory, wait_for};

pub struct Mosquitto {
    port: u16,
    directory: Directory,
    child: Child,
}

/// How a broker differs from one that lets everybody do everything.
#[derive(Default)]
pub struct Setup<'a> {
    /// User names and passwords; anonymous clients are refused when there are any.
    pub users: &'a [(&'a str, &'a str)],
    /// Lines of an ACL file.
    pub acl: Option<&'a str>,
    /// More lines of the configuration.
    pub extra: &'a str,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with(&Setup::default())
    }

    pub fn with(setup: &Setup<'_>) -> Self {
        let directory = Directory::new();
        write_users(&directory, setup.users);
        // Somebody else may take the port between our look and Mosquitto's bind.
        for _ in 0..10 {
            let port = free_port();
            configure(&directory, port, setup);
            if let Some(child) = launch(&directory) {
                return Self { port, directory, child };
            }
        }
        panic!("Mosquitto does not start; its log:\n{}", log(&directory));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends it without a word to its clients.
    pub fn kill(&mut self) {
        self.child.kill().expect("Mosquitto can be killed");
        self.child.wait().expect("Mosquitto ended");
    }

    /// Sends a signal by name, as `kill -STOP` does.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill").success(), "kill -{name}");
    }

    /// Starts it again on the same port, without what it knew before.
    pub fn restart(&mut self) {
        let directory = &self.directory;
        self.child = wait_for("Mosquitto on its old port", || launch(directory));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it and waits until it says that it runs; `None` when it ended instead.
fn launch(directory: &Directory) -> Option<Child> {
    // A log of an earlier run would speak for this one.
    let _ = std::fs::remove_file(directory.file("log"));
    let program =
        ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"].into_iter().find(|path| Path::new(path).exists());
    let mut command = Command::new(program.unwrap_or("mosquitto"));
    command.arg("-c").arg(directory.file("conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("these tests need Mosquitto: apt-get install mosquitto");
    let runs = wait_for("Mosquitto to start", || {
        if log(directory).contains(" running") {
            return Some(true);
        }
        child.try_wait().expect("its state").map(|_| false)
    });
    runs.then_some(child)
}

fn log(directory: &Directory) -> String {
    std::fs::read_to_string(directory.file("log")).unwrap_or_default()
}

fn configure(directory: &Directory, port: u16, setup: &Setup<'_>) {
    let mut lines = vec![
        format!("listener {port} 127.0.0.1"),
        format!("allow_anonymous {}", setup.users.is_empty()),
        format!("log_dest file {}", directory.file("log").display()),
        "persistence false".into(),
        "max_queued_messages 0".into(),
        // Started as root it would give up the right to read the files here.
        "user root".into(),
    ];
    if !setup.users.is_empty() {
        lines.push(format!("password_file {}", directory.file("users").display()));
    }
    if let Some(acl) = setup.acl {
        lines.push(format!("acl_file {}", directory.write("acl", acl).display()));
    }
    lines.push(setup.extra.into());
    directory.write("conf", &(lines.join("\n") + "\n"));
}

fn write_users(directory: &Directory, users: &[(&str, &str)]) {
    let path = directory.write("users", "");
    for (name, password) in users {
        let status = Command::new("mosquitto_passwd").arg("-b").arg(&path).args([name, password]).status();
        let status = status.expect("these tests need mosquitto_passwd: apt-get install mosquitto");
        assert!(status.success(), "mosquitto_passwd: {status}");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
