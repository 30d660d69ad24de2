//! The brokers, each a process on a loopback port of its own.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::mosquitto::Mosquitto;
use crate::support::{Directory, root, wait_for};

/// The program `amqtt`.
const AMQTT: &str = "BROKERS_AMQTT";
/// The directory that aedes is installed in.
const AEDES: &str = "BROKERS_AEDES";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mosquitto,
    Amqtt,
    Aedes,
}

pub enum Broker {
    Mosquitto(Mosquitto),
    Other(Program),
}

impl Broker {
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Mosquitto => Self::Mosquitto(Mosquitto::start()),
            other => Self::Other(Program::start(other)),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Mosquitto(broker) => broker.port(),
            Self::Other(program) => program.port,
        }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port())
    }

    /// How many connections it has not let go of. amqtt keeps those that end before CONNECT.
    pub fn connections(&self) -> usize {
        const LISTEN: &str = "0A";
        const TIME_WAIT: &str = "06";
        let port = format!(":{:04X}", self.port());
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        let sockets = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        sockets.filter(|socket| socket[1].ends_with(&port) && !matches!(socket[3], LISTEN | TIME_WAIT)).count()
    }

    /// Ends it without a word to its clients.
    pub fn kill(&mut self) {
        match self {
            Self::Mosquitto(broker) => broker.kill(),
            Self::Other(program) => program.kill(),
        }
    }

    /// Starts it again on the same port, without what it knew before.
    pub fn restart(&mut self) {
        match self {
            Self::Mosquitto(broker) => broker.restart(),
            Self::Other(program) => program.restart(),
        }
    }
}

/// A broker that is no Mosquitto.
pub struct Program {
    kind: Kind,
    port: u16,
    directory: Directory,
    child: Child,
}

impl Program {
    fn start(kind: Kind) -> Self {
        let directory = Directory::new();
        // Somebody else may take the port between our look and the broker's bind.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = launch(kind, &directory, port) {
                return Self { kind, port, directory, child };
            }
        }
        panic!("{kind:?} does not start; its log:\n{}", log(&directory));
    }

    fn kill(&mut self) {
        self.child.kill().expect("the broker can be killed");
        self.child.wait().expect("the broker ended");
    }

    fn restart(&mut self) {
        let (kind, directory, port) = (self.kind, &self.directory, self.port);
        self.child = wait_for("the broker on its old port", || launch(kind, directory, port));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it and waits until it says that it listens and accepts; `None` when it ended instead.
fn launch(kind: Kind, directory: &Directory, port: u16) -> Option<Child> {
    let (mut command, ready) = match kind {
        Kind::Amqtt => (amqtt(directory, port), "Listener 'default' bind to"),
        _ => (aedes(port), "listening"),
    };
    // A fresh file: the log of an earlier run would speak for this one.
    let output = File::create(directory.file("log")).expect("a log");
    command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{kind:?} cannot be run ({error}): {HOW}"));
    let runs = wait_for("the broker to listen", || {
        if child.try_wait().expect("its state").is_some() {
            return Some(false);
        }
        let says_so = log(directory).contains(ready);
        (says_so && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).then_some(true)
    });
    runs.then_some(child)
}

fn amqtt(directory: &Directory, port: u16) -> Command {
    let plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin";
    let config = format!(
        "listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n\
         plugins:\n  {plugin}:\n    allow_anonymous: true\n"
    );
    let mut command = Command::new(installed(AMQTT));
    command.arg("-c").arg(directory.write("amqtt.yaml", &config));
    command
}

fn aedes(port: u16) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("tests/brokers/aedes.mjs")).arg(installed(AEDES)).arg(port.to_string());
    command
}

const HOW: &str = "run tests/brokers.sh, which installs the brokers and then runs these tests";

/// What the variable names.
fn installed(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: {HOW}"));
    assert!(Path::new(&path).exists(), "{variable} names {path:?}, which is missing: {HOW}");
    path.into()
}

fn log(directory: &Directory) -> String {
    std::fs::read_to_string(directory.file("log")).unwrap_or_default()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
