//! A stdio MCP server under test: started, spoken to over its pipes, ended with its owner.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::options::Subject;

/// What `initialize` is asked with.
pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#;

/// Names that other servers give to our tools; the first that `tools/list` shows is used.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("establish_connection", &["mqtt_establish_connection", "connect"]),
    ("close_connection", &["mqtt_close_connection", "disconnect"]),
    ("list_active_connections", &["mqtt_list_active_connections", "list_connections"]),
    ("list_topics", &["mqtt_list_topics", "discover_topics"]),
    ("subscribe_and_collect", &["mqtt_subscribe_and_collect", "collect_messages"]),
    ("publish_message", &["mqtt_publish_message", "publish"]),
];

/// Arguments that other servers want as text where ours takes any JSON value.
const TEXT_ELSEWHERE: &[(&str, &str)] = &[("publish_message", "payload")];

/// No server lives longer.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    /// Its process.
    pub pid: u32,
    child: Arc<Mutex<Child>>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    line: String,
    next_id: u64,
    /// Answers to other requests than the one waited for.
    early: Vec<(u64, String)>,
    names: Vec<String>,
    is_ours: bool,
    /// Dropping it ends the watchdog.
    _alive: Sender<()>,
}

/// A failed request, in words.
pub type Result<T> = std::result::Result<T, String>;

#[derive(Deserialize)]
struct Reply<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Server {
    /// Starts it; nothing is said yet.
    pub fn start(subject: &Subject) -> Result<Self> {
        let mut command = Command::new(&subject.command[0]);
        command.args(&subject.command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", subject.command[0]))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or("no stdout")?);
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let (alive, ended) = channel();
        let watched = child.clone();
        std::thread::spawn(move || {
            if ended.recv_timeout(LIFE_MAX) == Err(RecvTimeoutError::Timeout) {
                // The reader sees the end of its pipe, which fails what it waits for.
                let _ = watched.lock().unwrap_or_else(PoisonError::into_inner).kill();
            }
        });
        Ok(Self {
            pid,
            child,
            stdin,
            stdout: BufReader::with_capacity(65_536, stdout),
            line: String::new(),
            next_id: 1,
            early: Vec::new(),
            names: Vec::new(),
            is_ours: subject.is_ours,
            _alive: alive,
        })
    }

    /// Starts it and goes through `initialize`.
    pub fn ready(subject: &Subject) -> Result<Self> {
        let mut server = Self::start(subject)?;
        server.initialize()?;
        Ok(server)
    }

    /// The handshake.
    pub fn initialize(&mut self) -> Result<()> {
        self.write(&format!("{INITIALIZE}\n"))?;
        self.wait_for(0)?;
        self.write("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")
    }

    /// The first line it says; without looking at it.
    pub fn read_line(&mut self) -> Result<&str> {
        self.line.clear();
        match self.stdout.read_line(&mut self.line) {
            Ok(0) => Err("the server ended".into()),
            Ok(_) => Ok(&self.line),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes to its stdin.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("no stdin")?;
        stdin.write_all(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// Asks for the tools and remembers their names.
    pub fn list_tools(&mut self) -> Result<usize> {
        let id = self.send("tools/list", &json!({}))?;
        let listed = self.wait_for(id)?;
        let tools = listed["tools"].as_array().ok_or("no tools")?;
        self.names = tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        Ok(self.names.len())
    }

    /// Sends a request; its id.
    pub fn send(&mut self, method: &str, params: &Value) -> Result<u64> {
        let (id, line) = self.request(method, params);
        self.write(&line)?;
        Ok(id)
    }

    fn request(&mut self, method: &str, params: &Value) -> (u64, String) {
        let id = self.next_id;
        self.next_id += 1;
        (id, format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })))
    }

    /// Starts a tool call; its id.
    pub fn begin(&mut self, tool: &str, arguments: &Value) -> Result<u64> {
        let params = self.params(tool, arguments)?;
        self.send("tools/call", &params)
    }

    fn params(&self, tool: &str, arguments: &Value) -> Result<Value> {
        let name = self.name_of(tool)?.to_owned();
        let mut arguments = arguments.clone();
        if !self.is_ours {
            for (_, argument) in TEXT_ELSEWHERE.iter().filter(|(ours, _)| *ours == tool) {
                if let Some(value) = arguments.get_mut(argument).filter(|value| !value.is_string()) {
                    *value = value.to_string().into();
                }
            }
        }
        Ok(json!({ "name": name, "arguments": arguments }))
    }

    /// Calls a tool; its structured result, or the JSON in its text.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let id = self.begin(tool, arguments)?;
        self.outcome(id)
    }

    /// The same, when nothing else is under way, and the time from the request's line to the answer's: what it costs to
    /// make and read JSON here is not the server's.
    pub fn timed_call(&mut self, tool: &str, arguments: &Value) -> Result<(Duration, Value)> {
        let params = self.params(tool, arguments)?;
        let (id, line) = self.request("tools/call", &params);
        let began = Instant::now();
        self.write(&line)?;
        self.read_line()?;
        let took = began.elapsed();
        match id_of(&self.line) == Some(id) {
            true => Ok((took, structured(result_of(&self.line)?)?)),
            false => Err(format!("not an answer to {id}: {}", self.line)),
        }
    }

    /// Waits for a tool call's result.
    pub fn outcome(&mut self, id: u64) -> Result<Value> {
        structured(self.wait_for(id)?)
    }

    /// A count in a result: ours must be `expected`; another server may stop early, and says how far it came.
    pub fn counted(&self, result: &Value, field: &str, expected: usize) -> Result<usize> {
        let count = result[field].as_u64().unwrap_or(0) as usize;
        match count == expected || (count > 0 && !self.is_ours) {
            true => Ok(count),
            false => Err(format!("{field} is {} instead of {expected}", result[field])),
        }
    }

    /// Connects to a broker on this machine; the session's id.
    pub fn connect(&mut self, port: u16) -> Result<String> {
        self.connect_to(&format!("mqtt://127.0.0.1:{port}"))
    }

    /// Connects to a broker; the session's id.
    pub fn connect_to(&mut self, url: &str) -> Result<String> {
        let arguments = json!({ "connection_string": url });
        let opened = self.call("establish_connection", &arguments)?;
        opened["session_id"].as_str().map(str::to_owned).ok_or_else(|| format!("no session_id in {opened}"))
    }

    /// Waits for the answer to `id`, keeping others for later; its result.
    pub fn wait_for(&mut self, id: u64) -> Result<Value> {
        self.read_answer(id)?;
        result_of(&self.line)
    }

    /// Whether the answer to `id` came while something else was waited for.
    pub fn has_answer(&self, id: u64) -> bool {
        self.early.iter().any(|(other, _)| *other == id)
    }

    /// The time of one `ping`. Another server may not know it: that it says so is an answer as well.
    pub fn ping(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let id = self.send("ping", &json!({}))?;
        self.read_answer(id)?;
        let took = began.elapsed();
        if self.is_ours {
            result_of(&self.line)?;
        }
        Ok(took)
    }

    /// What it calls a tool of ours; before `list_tools`, the same.
    pub fn name_of<'a>(&'a self, tool: &'a str) -> Result<&'a str> {
        let has = |name: &str| self.names.is_empty() || self.names.iter().any(|known| known == name);
        let others = OTHER_NAMES.iter().find(|(ours, _)| *ours == tool).map_or(&[][..], |(_, others)| others);
        let mut names = std::iter::once(tool).chain(others.iter().copied());
        names.find(|name| has(name)).ok_or_else(|| format!("it has no tool like {tool}"))
    }

    /// Reads on until `line` is the answer to `id`.
    fn read_answer(&mut self, id: u64) -> Result<()> {
        if let Some(index) = self.early.iter().position(|(other, _)| *other == id) {
            self.line = self.early.swap_remove(index).1;
            return Ok(());
        }
        loop {
            self.read_line()?;
            match id_of(&self.line) {
                Some(other) if other == id => return Ok(()),
                Some(other) => self.early.push((other, self.line.clone())),
                None => {}
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends a server; one that does not listen is killed.
        drop(self.stdin.take());
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < end {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn id_of(line: &str) -> Option<u64> {
    serde_json::from_str::<Reply<'_>>(line).ok()?.id
}

fn structured(mut result: Value) -> Result<Value> {
    if result["isError"] == true {
        return Err(result["content"][0]["text"].to_string());
    }
    let value = match result["structuredContent"].take() {
        Value::Null => serde_json::from_str(result["content"][0]["text"].as_str().unwrap_or_default())
            .map_err(|error| format!("no structured result: {error}"))?,
        value => value,
    };
    // Some servers report a failure as a plain result.
    if value["status"] == "error" { Err(value.to_string()) } else { Ok(value) }
}

fn result_of(line: &str) -> Result<Value> {
    let reply: Reply<'_> = serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))?;
    match (reply.result, reply.error) {
        (Some(result), _) => serde_json::from_str(result.get()).map_err(|error| error.to_string()),
        (None, error) => Err(error.map_or("an answer without result", RawValue::get).to_owned()),
    }
}
