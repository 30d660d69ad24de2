//! `mqtt-mcp demo`: a scripted assistant works through the real protocol, for a person to watch.
//!
//! The server is that of `--demo`, spoken to over pipes as an MCP client does. Every line with → is what was sent; what
//! stands behind ← is read from the answer to it.

mod screen;
mod server;
mod show;

use std::process::ExitCode;

use log::LevelFilter;

use crate::log as logging;
use crate::shell::json::Json;
use crate::stdio::tell;
use screen::Screen;
use server::Server;

/// Plays the tour to its end; 1 when something fails, which is told.
pub fn run() -> ExitCode {
    logging::start(LevelFilter::Warn);
    logging::panics_to_log();
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if why == screen::NOBODY_READS => ExitCode::SUCCESS,
        Err(why) => {
            tell(&format!("mqtt-mcp demo: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// A tool call of the script.
struct Step {
    /// What a person would ask the assistant.
    wish: &'static str,
    tool: &'static str,
    /// JSON in which `SESSION` and `WATCH` stand for the ids of earlier answers.
    arguments: &'static str,
    /// Tells the result.
    show: fn(Json<'_>, &mut Screen) -> Result<(), String>,
}

const STEPS: &[Step] = &[
    Step {
        wish: "Connect to the demo broker.",
        tool: "establish_connection",
        arguments: r#"{"broker":"demo"}"#,
        show: show::connected,
    },
    Step {
        wish: "What is on this broker?",
        tool: "list_topics",
        arguments: r#"{"session_id":"SESSION","duration_seconds":3}"#,
        show: show::topics,
    },
    Step {
        wish: "Show me what the house sends.",
        tool: "subscribe_and_collect",
        arguments: r#"{"session_id":"SESSION","topic_pattern":"home/#","duration_seconds":3,"keep":6}"#,
        show: show::messages,
    },
    Step {
        wish: "What do the climate messages look like?",
        tool: "get_topic_schema",
        arguments: r#"{"session_id":"SESSION","topic_pattern":"home/+/climate","duration_seconds":3}"#,
        show: show::schemas,
    },
    Step {
        wish: "Pump 1 fails now and then. What is wrong with it?",
        tool: "debug_device",
        arguments: r#"{"session_id":"SESSION","device_id":"pump1","duration_seconds":10}"#,
        show: show::device,
    },
    Step {
        wish: "Ask valve 1 to go to 70 %, and wait for its answer.",
        tool: "request_response",
        arguments: r#"{"session_id":"SESSION","request_topic":"plant/valve1/command","payload":{"id":"tour-1","command":"set","position":70},"response_topic":"plant/valve1/response","correlation_pointer":"/id"}"#,
        show: show::response,
    },
    Step {
        wish: "Keep an eye on the pump in the background.",
        tool: "start_watch",
        arguments: r#"{"session_id":"SESSION","topic_pattern":"plant/pump1/#"}"#,
        show: show::watching,
    },
    Step {
        wish: "How busy is the broker?",
        tool: "monitor_performance",
        arguments: r#"{"session_id":"SESSION","duration_seconds":4}"#,
        show: show::performance,
    },
    Step {
        wish: "What did the pump do meanwhile?",
        tool: "read_watch",
        arguments: r#"{"watch_id":"WATCH","limit":6}"#,
        show: show::messages,
    },
    Step { wish: "Enough.", tool: "stop_watch", arguments: r#"{"watch_id":"WATCH"}"#, show: show::stopped },
    Step {
        wish: "Close the connection.",
        tool: "close_connection",
        arguments: r#"{"session_id":"SESSION"}"#,
        show: show::closed,
    },
];

fn play() -> Result<(), String> {
    let mut screen = Screen::open();
    let mut server = Server::start()?;
    screen.title("mqtt-mcp at work, on a broker of its own with simulated devices")?;
    greet(&mut server, &mut screen)?;
    let (mut session, mut watch) = (String::new(), String::new());
    for (number, step) in (1..).zip(STEPS) {
        screen.wish(number, step.wish)?;
        let arguments = step.arguments.replace("SESSION", &session).replace("WATCH", &watch);
        let line = server.call(step.tool, &arguments);
        screen.request(&line)?;
        let answer = server.exchange(&line, |progress, total| screen.progress(progress, total))?;
        let answer = Json::read(&answer);
        let result = answer.get("structuredContent");
        if answer.get("isError").is("true") || !result.is_some() {
            return Err(format!("{} failed: {}", step.tool, result.get("error").get("message")));
        }
        for (name, id) in [("session_id", &mut session), ("watch_id", &mut watch)] {
            if result.get(name).is_some() {
                *id = result.get(name).to_string();
            }
        }
        (step.show)(result, &mut screen)?;
    }
    server.end()?;
    screen.farewell()
}

/// The handshake, and how many tools there are.
fn greet(server: &mut Server, screen: &mut Screen) -> Result<(), String> {
    let line = server.initialize();
    screen.request(&line)?;
    let hello = server.exchange(&line, |_, _| Ok(()))?;
    server.send(server::INITIALIZED)?;
    let line = server.list();
    let list = server.exchange(&line, |_, _| Ok(()))?;
    let (hello, count) = (Json::read(&hello), Json::read(&list).get("tools").rows().len());
    let [name, version] = ["name", "version"].map(|name| hello.get("serverInfo").get(name));
    screen.answer(&format!("{name} {version}, protocol {}, {count} tools", hello.get("protocolVersion")))
}
