//! The server of the tour: this program as a child process, spoken to as an MCP client does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::mcp::version::Revision;
use crate::shell::json::Json;

/// The notification that ends the handshake.
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A running server.
pub(super) struct Server {
    child: Child,
    /// Closed to end it.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    last_id: u64,
}

impl Server {
    /// Starts it with `--demo` and without what this environment configures: the tour is the same everywhere.
    pub(super) fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
        let mut command = Command::new(program);
        command.arg("--demo").stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MQTT_MCP_")) {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| format!("the server does not start: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                Ok(Self { child, stdin: Some(stdin), stdout: BufReader::new(stdout), last_id: 0 })
            }
            _ => Err("the server has no pipes".into()),
        }
    }

    /// The line of `initialize`.
    pub(super) fn initialize(&mut self) -> String {
        let (revision, version) = (Revision::NEWEST_LEGACY.name(), env!("CARGO_PKG_VERSION"));
        let params = format!(
            "{{\"protocolVersion\":\"{revision}\",\"capabilities\":{{}},\
             \"clientInfo\":{{\"name\":\"tour\",\"version\":\"{version}\"}}}}"
        );
        self.request("initialize", &params)
    }

    /// The line of `tools/list`.
    pub(super) fn list(&mut self) -> String {
        self.request("tools/list", "{}")
    }

    /// The line of a tool call that asks for progress.
    pub(super) fn call(&mut self, tool: &str, arguments: &str) -> String {
        let token = self.last_id + 1;
        let params =
            format!("{{\"name\":\"{tool}\",\"arguments\":{arguments},\"_meta\":{{\"progressToken\":{token}}}}}");
        self.request("tools/call", &params)
    }

    /// Sends a line.
    pub(super) fn send(&mut self, line: &str) -> Result<(), String> {
        let Some(stdin) = &mut self.stdin else { return Err("the server was ended".into()) };
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).map_err(|error| gone(&error))
    }

    /// Sends the last request and waits for its result; progress is handed on as it comes.
    pub(super) fn exchange(
        &mut self,
        line: &str,
        mut progress: impl FnMut(f64, f64) -> Result<(), String>,
    ) -> Result<String, String> {
        self.send(line)?;
        let mut text = String::new();
        loop {
            text.clear();
            if self.stdout.read_line(&mut text).map_err(|error| gone(&error))? == 0 {
                return Err("the server has ended".into());
            }
            let message = Json::read(&text);
            if !message.is_some() {
                return Err("the server sent what is no JSON".into());
            }
            if message.get("method").is("\"notifications/progress\"") {
                let params = message.get("params");
                progress(params.get("progress").number(), params.get("total").number())?;
            } else if message.get("id").is(&self.last_id.to_string()) {
                let error = message.get("error");
                if error.is_some() {
                    return Err(format!("the server refused: {}", error.get("message")));
                }
                return Ok(message.get("result").as_json().to_owned());
            }
        }
    }

    /// Closes its input, which ends it; an error when it does not end well.
    pub(super) fn end(mut self) -> Result<(), String> {
        self.stdin = None;
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the server ended with {status}")),
            Err(error) => Err(gone(&error)),
        }
    }

    fn request(&mut self, method: &str, params: &str) -> String {
        self.last_id += 1;
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"{method}\",\"params\":{params}}}", self.last_id)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends with us, so it ends by itself; it must not outlive the tour all the same.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

fn gone(error: &std::io::Error) -> String {
    format!("the server is gone: {error}")
}
