//! stdin and stdout as clients, shells and containers hand them over: pipes, sockets, files, /dev/null, and readers that
//! stop or go.

use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::{Value, json};

use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::packets::*;
use crate::support::server::{Process, command};
use crate::support::{DEADLINE, Directory};

const O_NONBLOCK: u32 = 0o4000;

fn ping(id: u32) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
}

fn with_stdio(stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Process {
    let mut command: Command = command(&[]);
    command.stdin(stdin).stdout(stdout);
    Process::spawn(command)
}

fn ids(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone()).collect()
}

/// Lines that are read one by one as the test takes them, each with a deadline.
struct Lines(Receiver<String>);

impl Lines {
    fn of(reader: impl Read + Send + 'static) -> Self {
        // Without room in the channel the thread reads on when a line is taken.
        let (send, receive) = sync_channel(0);
        std::thread::spawn(move || {
            let mut lines = BufReader::new(reader).lines();
            while let Some(Ok(line)) = lines.next() {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receive)
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.0.recv_timeout(DEADLINE).expect("a line in time")).expect("JSON")
    }
}

/// The flags of a process's open file.
fn flags(process: &str, fd: impl std::fmt::Display) -> u32 {
    let info = read_to_string(format!("/proc/{process}/fdinfo/{fd}")).expect("fdinfo");
    let line = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
    u32::from_str_radix(line.trim(), 8).expect("an octal number")
}

#[test]
fn lines_from_a_file_are_answered_and_its_end_is_the_end() {
    let directory = Directory::new();
    let input = directory.write("input", &(ping(1) + &ping(2) + &ping(3)));
    let mut server = with_stdio(File::open(input).expect("the file"), Stdio::piped());
    let mut output = String::new();
    server.stdout.take().expect("piped").read_to_string(&mut output).expect("the answers");
    assert_eq!(ids(&output), [1, 2, 3]);
    assert!(server.wait_exit().success());
}

#[test]
fn answers_may_go_to_a_file() {
    let directory = Directory::new();
    let input = directory.write("input", &(ping(1) + &ping(2)));
    let output = directory.file("output");
    let to = File::create(&output).expect("a file");
    assert!(with_stdio(File::open(input).expect("the file"), to).wait_exit().success());
    assert_eq!(ids(&read_to_string(output).expect("the answers")), [1, 2]);
}

#[test]
fn nothing_on_stdin_ends_it_at_once() {
    let mut server = with_stdio(Stdio::null(), Stdio::piped());
    let mut output = String::new();
    server.stdout.take().expect("piped").read_to_string(&mut output).expect("the end");
    assert_eq!(output, "");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn stdin_and_stdout_may_be_one_socket() {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let stdin = OwnedFd::from(theirs.try_clone().expect("a copy"));
    let mut server = with_stdio(stdin, OwnedFd::from(theirs));
    (&ours).write_all(ping(7).as_bytes()).expect("the server reads");
    assert_eq!(Lines::of(ours.try_clone().expect("a copy")).next()["id"], 7);
    assert_eq!(flags(&server.id().to_string(), 0) & O_NONBLOCK, 0, "the socket is shared with whoever made it");
    ours.shutdown(std::net::Shutdown::Write).expect("the end of input");
    assert!(server.wait_exit().success());
}

#[test]
fn a_reader_that_is_gone_ends_it_with_success() {
    let (_input, to_server) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
    let mut server = with_stdio(to_server.0, Stdio::piped());
    drop(server.stdout.take());
    assert_eq!(server.wait_exit().code(), Some(0), "without a further line on stdin");
}

#[test]
fn a_reader_that_goes_amid_answers_ends_it_with_success() {
    let (from_test, mut to_server) = pipe().expect("a pipe");
    let mut server = with_stdio(from_test, Stdio::piped());
    to_server.write_all(ping(1).as_bytes()).expect("the server reads");
    let mut line = String::new();
    let mut reader = BufReader::new(server.stdout.take().expect("piped"));
    reader.read_line(&mut line).expect("a line");
    drop(reader);
    // It may or may not be taken.
    let _ = to_server.write_all(ping(2).as_bytes());
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn shared_pipes_stay_as_they_were() {
    let (stdin, mut to_server) = pipe().expect("a pipe");
    let (from_server, stdout) = pipe().expect("a pipe");
    let (our_stdin, our_stdout) = (stdin.try_clone().expect("a copy"), stdout.try_clone().expect("a copy"));
    let mut server = with_stdio(stdin, stdout);
    to_server.write_all(ping(1).as_bytes()).expect("the server reads");
    assert_eq!(Lines::of(from_server).next()["id"], 1);
    let pid = server.id().to_string();
    assert_eq!((flags(&pid, 0) & O_NONBLOCK, flags(&pid, 1) & O_NONBLOCK), (0, 0), "while it runs");
    drop(to_server);
    assert!(server.wait_exit().success());
    let ours = (flags("self", our_stdin.as_raw_fd()) & O_NONBLOCK, flags("self", our_stdout.as_raw_fd()) & O_NONBLOCK);
    assert_eq!(ours, (0, 0), "after its end");
}

/// Opens a session on a fake broker over plain pipes.
fn connect(to_server: &mut PipeWriter, from_server: &mut Lines, broker: &FakeBroker) -> Peer {
    let params = json!({"connection_string": broker.url(), "keep_alive_seconds": 1});
    let request = json!({"jsonrpc": "2.0", "id": "c", "method": "establish_connection", "params": params});
    to_server.write_all(format!("{request}\n").as_bytes()).expect("the server reads");
    let peer = broker.welcome();
    assert_eq!(from_server.next()["result"]["status"], "connected");
    peer
}

#[test]
fn a_client_that_stops_reading_does_not_stall_keep_alive_and_loses_no_answer() {
    const ASKED: u32 = 100;
    let (broker, (stdin, mut to_server)) = (FakeBroker::new(), pipe().expect("a pipe"));
    let mut server = with_stdio(stdin, Stdio::piped());
    let mut from_server = Lines::of(server.stdout.take().expect("piped"));
    let mut peer = connect(&mut to_server, &mut from_server, &broker);
    let meta = crate::support::server::envelope("2026-07-28");
    for id in 0..ASKED {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {"_meta": meta}});
        to_server.write_all(format!("{request}\n").as_bytes()).expect("the pipe takes it");
    }
    for _ in 0..3 {
        peer.expect(PINGREQ);
        peer.send(&packet_of(PINGRESP));
    }
    for id in 0..ASKED {
        assert_eq!(from_server.next()["id"], id);
    }
    drop(to_server);
    assert!(server.wait_exit().success());
}
