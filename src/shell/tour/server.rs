//! The server of the tour, on a thread of its own, spoken to over pipes as an MCP client does.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::thread::{Builder, JoinHandle};

use crate::config::Config;
use crate::mcp::version::Revision;
use crate::runtime;
use crate::shell::json::Json;
use crate::stdio::Ends;

/// The notification that ends the handshake.
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A running server.
pub(super) struct Server {
    /// Closed to end it.
    stdin: PipeWriter,
    stdout: BufReader<PipeReader>,
    thread: JoinHandle<io::Result<()>>,
    last_id: u64,
}

impl Server {
    /// Starts it as `--demo` does, without what this environment configures: the tour is the same everywhere.
    pub(super) fn start() -> Result<Self, String> {
        Self::serve(|stdin, stdout| {
            let config = Config { demo: true, ..Config::default() };
            // Signals end the tour, and the thread with it.
            runtime::run(config, Ends { stdin: stdin.into(), stdout: stdout.into() }, &[])
        })
    }

    fn serve(server: fn(PipeReader, PipeWriter) -> io::Result<()>) -> Result<Self, String> {
        let fails = |error| format!("the server does not start: {error}");
        let (its_stdin, stdin) = io::pipe().map_err(fails)?;
        let (stdout, its_stdout) = io::pipe().map_err(fails)?;
        let thread =
            Builder::new().name("server".into()).spawn(move || server(its_stdin, its_stdout)).map_err(fails)?;
        Ok(Self { stdin, stdout: BufReader::new(stdout), thread, last_id: 0 })
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
        self.stdin.write_all(line.as_bytes()).and_then(|()| self.stdin.write_all(b"\n")).map_err(|error| gone(&error))
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
    pub(super) fn end(self) -> Result<(), String> {
        drop(self.stdin);
        match self.thread.join() {
            Ok(ended) => ended.map_err(|error| gone(&error)),
            Err(_) => Err("the server is gone: a bug ended it".into()),
        }
    }

    fn request(&mut self, method: &str, params: &str) -> String {
        self.last_id += 1;
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"{method}\",\"params\":{params}}}", self.last_id)
    }
}

fn gone(error: &io::Error) -> String {
    format!("the server is gone: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tour says when the server does that with its first line.
    fn told(server: fn(PipeReader, PipeWriter) -> io::Result<()>) -> (Result<String, String>, Result<(), String>) {
        let mut client = Server::serve(server).expect("a thread");
        let line = client.list();
        let answer = client.exchange(&line, |_, _| Ok(()));
        (answer, client.end())
    }

    fn first_line(stdin: PipeReader) -> String {
        let mut line = String::new();
        BufReader::new(stdin).read_line(&mut line).expect("UTF-8");
        line
    }

    #[test]
    fn a_server_that_dies_or_talks_nonsense_is_told() {
        let ends = |stdin, _: PipeWriter| {
            assert!(first_line(stdin).ends_with("\"tools/list\",\"params\":{}}\n"));
            Err(io::Error::other("no more"))
        };
        let (answer, end) = told(ends);
        assert_eq!(answer, Err("the server has ended".into()));
        assert_eq!(end, Err("the server is gone: no more".into()));
        let talks = |stdin, mut stdout: PipeWriter| {
            first_line(stdin);
            stdout.write_all(b"hello\n")
        };
        assert_eq!(told(talks), (Err("the server sent what is no JSON".into()), Ok(())));
    }
}
