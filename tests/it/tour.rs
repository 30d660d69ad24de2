//! `mqtt-mcp demo`, watched as a person would, and beside it by a client of our own on the same broker.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::root;
use crate::support::server::{Process, Server, command};

/// The tour as a process whose output is read line by line.
struct Tour {
    process: Process,
    stdout: BufReader<ChildStdout>,
    shown: Vec<String>,
}

impl Tour {
    fn start() -> Self {
        Self::run(command(&["demo"]))
    }

    fn run(mut command: Command) -> Self {
        command.stdin(Stdio::null()).env("TERM", "xterm-256color").env("MQTT_MCP_BROKER_DEMO", "mqtt://127.0.0.1:1");
        let mut process = Process::spawn(command);
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self { process, stdout, shown: Vec::new() }
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<&str> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).expect("UTF-8") == 0 {
            return None;
        }
        self.shown.push(line.trim_end_matches('\n').to_owned());
        self.shown.last().map(String::as_str)
    }

    /// Reads on to a line with this in it.
    fn line_with(&mut self, what: &str) -> String {
        loop {
            match self.line() {
                Some(line) if line.contains(what) => return line.to_owned(),
                Some(_) => {}
                None => panic!("{what} is missing in {:#?}", self.shown),
            }
        }
    }

    /// The port of its broker, from the answer that shows it.
    fn port(&mut self) -> u16 {
        let line = self.line_with("connected to 127.0.0.1:");
        let digits = line.split("127.0.0.1:").nth(1).expect("a port");
        digits.split(' ').next().expect("a port").parse().expect("a port")
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().expect("stderr is piped").read_to_string(&mut text).expect("UTF-8");
        text
    }
}

/// Requests as they were shown, their lines joined.
fn requests(shown: &[String]) -> Vec<Value> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in shown {
        if let Some(first) = line.strip_prefix("   → ") {
            found.push(first.to_owned());
            inside = true;
        } else if let Some(more) = line.strip_prefix("     ").filter(|_| inside) {
            found.last_mut().expect("a first line").push_str(more);
        } else {
            inside = false;
        }
    }
    found.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"))).collect()
}

/// The README's excerpt is in the tour, line by line in its order; `…` stands for what was left out.
fn assert_readme_shows(tour: &str) {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, excerpt) = readme.split_once("<!-- tests/it/tour.rs holds this against the tour. -->").expect("its place");
    let (_, excerpt) = excerpt.split_once("```text\n").expect("its beginning");
    let (excerpt, _) = excerpt.split_once("```").expect("its end");
    let mut rest = tour;
    for part in excerpt.lines().flat_map(|line| line.split('…')).filter(|part| !part.trim().is_empty()) {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not in its place in {tour}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_tour_shows_true_requests_and_answers_and_ends_by_itself() {
    let started = Instant::now();
    let mut tour = Tour::start();
    let mut witness = Client::connect(tour.port());
    witness.subscribe("#", 0);
    tour.line_with("Close the connection.");
    while tour.line().is_some() {}
    // The broker ends with the tour.
    let seen = witness.received_to_the_end();
    assert!(tour.process.wait_exit().success(), "{}", tour.stderr());
    assert_eq!(tour.stderr(), "");
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());

    let program = env!("CARGO_BIN_EXE_mqtt-mcp");
    for line in &tour.shown {
        assert!(line.chars().count() <= 80 || line.contains(program), "wider than 80 columns: {line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
    let requests = requests(&tour.shown);
    let asked: Vec<_> = requests.iter().filter_map(|request| request["params"]["name"].as_str()).collect();
    let steps = tour.shown.iter().filter(|line| line.contains(". \"")).count();
    assert_eq!((steps, requests.len()), (asked.len(), asked.len() + 1), "{asked:?}");
    let mut server = Server::start();
    let id = server.request("tools/list", serde_json::json!({}));
    let list = server.result(&id);
    let names: Vec<_> = list["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].as_str()).collect();
    assert!(asked.iter().all(|name| names.contains(&Some(name))), "{asked:?} of {names:?}");
    for name in ["list_topics", "get_topic_schema", "debug_device", "request_response", "monitor_performance"] {
        assert!(asked.contains(&name), "{name}");
    }
    let all = tour.shown.join("\n");
    for shown in ["home/+/climate: topics", "error: {\"level\":\"error\",\"code\":\"E42\"", "changed to offline"] {
        assert!(all.contains(shown), "{shown} in {all}");
    }
    assert_eq!(all.matches("   ← ").count(), requests.len(), "an answer to each");
    assert!(all.contains(&format!("claude mcp add mqtt -- {program} --demo")) && all.contains("\"mcpServers\""));

    assert_readme_shows(&all);

    // What it shows of messages is what our own client saw.
    let is_row = |line: &&String| line.starts_with("       plant/") && !line.contains("  messages ");
    let rows: Vec<_> = tour.shown.iter().filter(is_row).collect();
    assert!(rows.len() >= 5, "{all}");
    let witnessed =
        seen.iter().map(|message| format!("       {} {}", message.topic, String::from_utf8_lossy(&message.payload)));
    let witnessed: Vec<_> = witnessed.collect();
    for row in rows {
        let row = row.replace(" (retained)", "");
        let beginning = row.trim_end_matches('…');
        assert!(witnessed.iter().any(|line| line.starts_with(beginning)), "{row} was not seen: {witnessed:#?}");
    }
}

#[test]
fn ctrl_c_ends_the_tour_and_its_server() {
    // A shell without job control starts what runs in its background with SIGINT ignored: not so here.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_mqtt-mcp"), "demo"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tour = Tour::run(command);
    let port = tour.port();
    tour.process.signal("INT");
    let status = tour.process.wait_exit();
    assert_eq!(status.signal(), Some(SIGINT), "{status}");
    assert_eq!(tour.stderr(), "");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "its broker ended with it");
}

const SIGINT: i32 = 2;

/// What a terminal is sent until `enough` of it has come.
fn on_a_terminal(variables: &[(&str, &str)], enough: &str) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("it is ours");
    let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let end = std::fs::OpenOptions::new().read(true).write(true).open(name).expect("its other end");
    let mut command = command(&["demo"]);
    command.stdin(Stdio::null()).stdout(end).env("TERM", "xterm").env_remove("NO_COLOR");
    command.envs(variables.iter().copied());
    let mut process = Process::spawn(command);
    let (mut terminal, mut shown) = (std::fs::File::from(terminal), Vec::new());
    while !String::from_utf8_lossy(&shown).contains(enough) {
        let mut chunk = [0; 256];
        let count = terminal.read(&mut chunk).expect("the tour writes");
        shown.extend_from_slice(&chunk[..count]);
    }
    process.signal("TERM");
    process.wait_exit();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let coloured = on_a_terminal(&[], "connected to");
    assert!(coloured.contains("\x1b[1m") && coloured.contains("\x1b[0m"), "{coloured:?}");
    let without = ["0", "1", "2", "32"].iter().fold(coloured, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
    assert!(!without.contains('\x1b'), "nothing but colours: {without:?}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&[plain], "connected to");
        assert!(!shown.contains('\x1b'), "{plain:?}: {shown:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_ends_the_tour() {
    let Tour { mut process, mut stdout, .. } = Tour::start();
    stdout.read_line(&mut String::new()).expect("a line");
    drop(stdout);
    assert!(process.wait_exit().success());
}
