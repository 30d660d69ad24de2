//! The real binary as a process. Every line it writes is held against the contract, whatever a test is about: stdout has
//! nothing but JSON-RPC, results conform to their tool's output schema, the text copy is the structured result, and
//! results keep to their budget.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{DEADLINE, schema, wait_for};

/// The binary, or what `MQTT_MCP_TEST_SERVER` names instead, with `flags`; without what the tests' own environment says
/// to it.
pub fn command(flags: &[&str]) -> Command {
    let instead = std::env::var("MQTT_MCP_TEST_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_mqtt-mcp").to_owned());
    let mut words = instead.split_whitespace();
    let mut command = Command::new(words.next().expect("MQTT_MCP_TEST_SERVER names a command"));
    command.args(words).args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MQTT_MCP_")) {
        command.env_remove(name);
    }
    command
}

/// A child that does not outlive its test.
pub struct Process(Child);

impl Process {
    pub fn spawn(mut command: Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    pub fn wait_exit(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.0.try_wait().expect("its state"))
    }

    /// Sends a signal by name, as `kill -TERM` does.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().expect("kill");
        assert!(status.success(), "kill -{name}: {status}");
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line that the server wrote.
#[derive(Debug)]
pub struct Line {
    pub raw: String,
    pub json: Value,
}

/// What was said in both directions, a file for each server: with `MQTT_MCP_TRANSCRIPTS` naming a directory, the official
/// schemas can be held against all that the tests make the server say (tests/official.sh). Tools called as methods of their
/// own are left out: the schemas do not know them.
#[derive(Clone)]
struct Transcript(Arc<Mutex<(File, HashSet<String>)>>);

impl Transcript {
    fn wanted() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = std::env::var_os("MQTT_MCP_TRANSCRIPTS")?;
        let test = std::thread::current().name().unwrap_or("unnamed").replace("::", ".");
        let name = format!("{test}-{}.jsonl", COUNT.fetch_add(1, Ordering::Relaxed));
        let file = File::create(std::path::Path::new(&directory).join(name)).expect("the transcript can be written");
        Some(Self(Arc::new(Mutex::new((file, HashSet::new())))))
    }

    fn note(&self, direction: &str, lines: &str) {
        let (file, left_out) = &mut *self.0.lock().expect("no writer panicked");
        for line in lines.lines() {
            let parsed = serde_json::from_str::<Value>(line);
            let message = parsed.as_ref().unwrap_or(&Value::Null);
            let id = message["id"].to_string();
            let is_own = message["method"].as_str().is_some_and(super::tools::is_bare);
            if (is_own && left_out.insert(id.clone())) || left_out.contains(&id) {
                continue;
            }
            let record = match &parsed {
                Ok(message) => json!({"dir": direction, "msg": message}),
                Err(_) => json!({"dir": direction, "raw": line}),
            };
            writeln!(file, "{record}").expect("the transcript can be written");
        }
    }
}

/// What is known of a tool call while it runs.
struct Asked {
    tool: String,
    bare: bool,
    budget_bytes: u64,
    /// The revision that it was asked in has structured results.
    structured: bool,
}

pub struct Server {
    pub process: Process,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that came before the one that was waited for, in their order.
    kept: VecDeque<Line>,
    asked: HashMap<String, Asked>,
    structured: bool,
    next_id: i64,
    stderr: Arc<Mutex<Vec<u8>>>,
    transcript: Option<Transcript>,
}

impl Server {
    /// With a handshake at the newest revision that has one.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With flags, and the handshake.
    pub fn with(flags: &[&str]) -> Self {
        let mut server = Self::spawn(command(flags));
        server.initialize("2025-11-25");
        server
    }

    /// Without a word yet.
    pub fn spawn(command: Command) -> Self {
        let mut process = Process::spawn(command);
        let stdin = process.stdin.take();
        let transcript = Transcript::wanted();
        let lines = read_lines(process.stdout.take().expect("stdout is piped"), transcript.clone());
        let stderr = read_all(process.stderr.take().expect("stderr is piped"));
        let (kept, asked) = (VecDeque::new(), HashMap::new());
        Self { process, stdin, lines, kept, asked, structured: true, next_id: 0, stderr, transcript }
    }

    /// The handshake; gives the result of `initialize`.
    pub fn initialize(&mut self, revision: &str) -> Value {
        let params =
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "it", "version": "1"}});
        let id = self.request("initialize", params);
        let result = self.result(&id);
        self.structured = result["protocolVersion"].as_str().is_some_and(|agreed| agreed >= "2025-06-18");
        self.notify("notifications/initialized", json!({}));
        result
    }

    pub fn raw(&mut self, line: impl AsRef<[u8]>) {
        if let Some(transcript) = &self.transcript {
            transcript.note("in", &String::from_utf8_lossy(line.as_ref()));
        }
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(line.as_ref()).expect("the server reads");
        stdin.write_all(b"\n").expect("the server reads");
    }

    /// Bytes that are no whole line yet.
    pub fn raw_without_end(&mut self, bytes: &str) {
        self.stdin.as_mut().expect("stdin is open").write_all(bytes.as_bytes()).expect("the server reads");
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.raw(json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// Sends a request and gives its id.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = json!(self.next_id);
        let (tool, arguments) = match method {
            "tools/call" => (params["name"].as_str().unwrap_or_default().to_owned(), &params["arguments"]),
            _ => (method.to_owned(), &params),
        };
        let budget_bytes = arguments["max_response_bytes"].as_u64().unwrap_or(32_768);
        let tool = tool.trim_start_matches("mqtt_").to_owned();
        let bare = method != "tools/call";
        if !bare || super::tools::is_bare(method) {
            let is_modern = params["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some();
            let structured = self.structured || is_modern;
            self.asked.insert(id.to_string(), Asked { tool, bare, budget_bytes, structured });
        }
        self.raw(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// The same with the envelope of the revision without handshake.
    pub fn modern(&mut self, method: &str, params: Value) -> Line {
        let id = self.start_modern(method, params);
        self.response(&id)
    }

    /// Starts a request with the envelope of the revision without handshake.
    pub fn start_modern(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = envelope("2026-07-28");
        self.request(method, params)
    }

    /// The next notification of `method`; what comes before it is kept.
    #[cfg(feature = "library")]
    pub fn notification(&mut self, method: &str) -> Value {
        let is_it = |line: &Line| line.json["method"] == method;
        let deadline = Instant::now() + DEADLINE;
        let mut line = match self.kept.iter().position(is_it) {
            Some(index) => self.kept.remove(index).expect("the line is there"),
            None => loop {
                let line = self.receive(deadline).unwrap_or_else(|| panic!("no {method}; {:?}", self.kept));
                if is_it(&line) {
                    break line;
                }
                self.kept.push_back(line);
            },
        };
        assert!(line.json.get("id").is_none(), "a notification has no id: {}", line.raw);
        line.json["params"].take()
    }

    /// The response to `id`; what comes before it is kept.
    pub fn response(&mut self, id: &Value) -> Line {
        let answers = |line: &Line| line.json.get("id") == Some(id);
        if let Some(index) = self.kept.iter().position(answers) {
            return self.kept.remove(index).expect("the line is there");
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.receive(deadline).unwrap_or_else(|| {
                panic!(
                    "no response to {id} {:?}; {}",
                    self.asked.get(&id.to_string()).map(|a| a.tool.clone()),
                    self.stderr()
                )
            });
            if answers(&line) {
                return line;
            }
            self.kept.push_back(line);
        }
    }

    /// Whether the response to `id` came before others that were waited for.
    pub fn has_answer(&self, id: &Value) -> bool {
        self.kept.iter().any(|line| line.json.get("id") == Some(id))
    }

    /// The result of a request that must succeed.
    pub fn result(&mut self, id: &Value) -> Value {
        let mut line = self.response(id);
        assert!(line.json.get("error").is_none(), "{}", line.raw);
        line.json["result"].take()
    }

    /// The next line, whatever it is.
    pub fn next_line(&mut self) -> Line {
        let kept = self.kept.pop_front();
        kept.or_else(|| self.receive(Instant::now() + DEADLINE)).expect("a line in time")
    }

    /// The lines that came and were not asked for.
    pub fn take_kept(&mut self) -> Vec<Line> {
        self.kept.drain(..).collect()
    }

    /// No line comes for this long.
    pub fn expect_silence(&mut self, time: Duration) {
        assert!(self.kept.is_empty(), "{:?}", self.kept);
        if let Some(line) = self.receive(Instant::now() + time) {
            panic!("silence was broken by {}", line.raw);
        }
    }

    /// The end of stdout, with the lines before it.
    pub fn lines_to_end(&mut self) -> Vec<Line> {
        let mut lines = self.take_kept();
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(raw) => lines.push(self.checked(raw)),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("stdout did not end"),
            }
        }
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it logged so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().expect("the reader lives")).into_owned()
    }

    /// Ends it and gives all that it logged.
    pub fn stderr_at_end(&mut self) -> String {
        self.close_stdin();
        self.lines_to_end();
        assert!(self.process.wait_exit().success());
        // The reader has its own hold on the text until stderr has ended.
        wait_for("the end of stderr", || (Arc::strong_count(&self.stderr) == 1).then_some(()));
        self.stderr()
    }

    fn receive(&mut self, deadline: Instant) -> Option<Line> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(raw) => Some(self.checked(raw)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("stdout ended; stderr: {}", self.stderr()),
        }
    }

    fn checked(&mut self, raw: String) -> Line {
        let json: Value = serde_json::from_str(&raw).unwrap_or_else(|error| panic!("stdout had {raw:?}: {error}"));
        for message in json.as_array().map_or(std::slice::from_ref(&json), Vec::as_slice) {
            owes_what_every_message_owes(message, &raw);
        }
        if let Some(asked) = json.get("id").and_then(|id| self.asked.remove(&id.to_string())) {
            asked.check(&raw, &json);
        }
        Line { raw, json }
    }
}

/// What the protocol asks of each line, whatever it answers: one message, whole and below the size at which clients hang
/// up; a response or one of the few notifications that there are, never a request; no `_meta` key of our own.
fn owes_what_every_message_owes(message: &Value, raw: &str) {
    const NOTIFICATIONS: [&str; 3] =
        ["notifications/progress", "notifications/resources/updated", "notifications/subscriptions/acknowledged"];
    assert!(raw.len() < 10 << 20, "{} bytes in a line", raw.len());
    assert_eq!(message["jsonrpc"], "2.0", "{raw}");
    if let Some(method) = message.get("method") {
        assert!(NOTIFICATIONS.iter().any(|known| method == known), "{raw}");
        assert!(["id", "result", "error"].iter().all(|member| message.get(member).is_none()), "{raw}");
    } else {
        assert!(message.get("result").is_some() != message.get("error").is_some(), "{raw}");
        assert!(message.get("id").is_none_or(|id| id.is_string() || id.is_i64() || id.is_u64()), "{raw}");
    }
    if let Some(error) = message.get("error") {
        let code = error["code"].as_i64().unwrap_or_else(|| panic!("the code is no integer: {raw}"));
        let known = [-32700, -32600, -32601, -32602, -32603, -32022, -32002];
        assert!(known.contains(&code) || code > 0, "{raw}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty() && !text.contains('\n')), "{raw}");
    }
    let meta = message.pointer("/result/_meta").or(message.pointer("/params/_meta")).and_then(Value::as_object);
    let reserved = ["io.modelcontextprotocol/serverInfo", "io.modelcontextprotocol/subscriptionId"];
    assert!(meta.is_none_or(|meta| meta.keys().all(|key| reserved.contains(&key.as_str()))), "{raw}");
}

impl Asked {
    fn check(&self, raw: &str, json: &Value) {
        let Some(schema) = output_schemas().get(&self.tool) else { return };
        let answer = if self.bare {
            // A malformed request has an error without a tool's result in it.
            json.get("result").or_else(|| json.get("error").and_then(|error| error.get("data")))
        } else {
            json["result"].get("structuredContent")
        };
        if let Some(answer) = answer {
            schema::check(schema, answer).unwrap_or_else(|why| panic!("{} broke its output schema: {why}", self.tool));
        }
        if self.bare || json.get("error").is_some() {
            return;
        }
        let text = json["result"]["content"][0]["text"].as_str().expect("a text copy");
        if self.structured {
            let exact = member(member(raw, "result"), "structuredContent");
            assert_eq!(text, exact, "the text copy is the structured result");
        } else {
            assert!(answer.is_none(), "structured results are not part of this revision: {raw}");
        }
        assert!(text.len() as u64 <= self.budget_bytes, "{} bytes of {}", text.len(), self.budget_bytes);
    }
}

/// The exact text of a member of a JSON object.
pub fn member<'a>(object: &'a str, name: &str) -> &'a str {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(object).expect("an object");
    members.get(name).unwrap_or_else(|| panic!("{name} is missing in {object}")).get()
}

/// What a request of the revision without handshake says of itself.
pub fn envelope(revision: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn output_schemas() -> &'static BTreeMap<String, Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let list = Server::spawn(command(&[])).modern("tools/list", json!({}));
        let tools = list.json["result"]["tools"].as_array().expect("tools").clone();
        let entry = |tool: Value| (tool["name"].as_str().expect("a name").to_owned(), tool["outputSchema"].clone());
        tools.into_iter().map(entry).collect()
    })
}

fn read_lines(stdout: ChildStdout, transcript: Option<Transcript>) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).expect("stdout is UTF-8") > 0 {
            assert!(line.ends_with('\n'), "a line without its end: {line:?}");
            line.pop();
            if let Some(transcript) = &transcript {
                transcript.note("out", &line);
            }
            if send.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receive
}

fn read_all(mut stderr: ChildStderr) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let to = all.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            to.lock().expect("nobody panics with it").extend_from_slice(&chunk[..count]);
        }
    });
    all
}
