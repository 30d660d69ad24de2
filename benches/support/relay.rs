//! The least that can stand between a client and a broker: a program that reads a line, publishes, waits for the
//! acknowledgement and writes a line. What its round trip takes is no server's to save: two pipes, a socket and the
//! wake-ups of one process more; and with async-io what its reactor does for each of them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use async_io::Async;
use rustix::stdio::{stdin, stdout};

use super::mosquitto::BareClient;
use super::options::Subject;
use super::packets;

const SELF: &str = "--relay";
/// As long as the server's answer.
const ANSWER: [u8; 480] = {
    let mut line = [b'x'; 480];
    line[479] = b'\n';
    line
};

/// What it waits with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Calls that block.
    Blocking,
    /// smol and async-io, on one thread, as the server does.
    AsyncIo,
}

/// The program, which is this one with other arguments.
pub fn subject(waits: Waits, port: u16) -> Subject {
    let program = std::env::current_exe().expect("this program").to_string_lossy().into_owned();
    let waits = if waits == Waits::Blocking { "blocking" } else { "async-io" };
    let command = vec![program, SELF.into(), waits.into(), port.to_string()];
    Subject { name: waits.into(), command, is_ours: false }
}

/// Whether this process is to be a relay: then its end.
pub fn run() -> Option<ExitCode> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [first, waits, port] = &words[..] else { return None };
    if first != SELF {
        return None;
    }
    let mut client = BareClient::connect(port.parse().expect("a port")).expect("a broker");
    let packet = packets::publish("bench/round/trip", Some(1), &[b'x'; 64]);
    let mut line = [0; 4096];
    if waits == "blocking" {
        while rustix::io::read(stdin(), &mut line).is_ok_and(|count| count > 0) {
            client.round_trip(&packet).expect("PUBACK");
            rustix::io::write(stdout(), &ANSWER).expect("a reader");
        }
    } else {
        let socket = client.socket().try_clone().expect("a socket");
        smol::block_on(relay(socket, &packet, &mut line));
    }
    Some(ExitCode::SUCCESS)
}

async fn relay(socket: TcpStream, packet: &[u8], line: &mut [u8]) {
    let input = Async::new_nonblocking(rustix::io::dup(stdin()).expect("stdin")).expect("a pipe");
    let socket = Async::new(socket).expect("a socket");
    loop {
        input.readable().await.expect("stdin");
        if rustix::io::read(stdin(), &mut *line).expect("stdin") == 0 {
            return;
        }
        socket.get_ref().write_all(packet).expect("room for a packet");
        let mut puback = [0; 64];
        loop {
            socket.readable().await.expect("a socket");
            match socket.get_ref().read(&mut puback) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                count => break assert_eq!(count.expect("PUBACK"), 4),
            }
        }
        rustix::io::write(stdout(), &ANSWER).expect("a reader");
    }
}
