//! `mqtt-mcp check`: the tool test_connection for a person or a script.

use std::process::ExitCode;

use super::json::Json;
use super::text::{plain, wrap};
use crate::config::Config;
use crate::rpc::outgoing;
use crate::stdio::{print, tell};
use crate::tools::args::quoted;
use crate::{log as logging, runtime, tools};

/// Tries a broker: 0 when it is well, 1 when it is not, 2 when there is no such broker.
pub fn run(mut config: Config, target: &str) -> ExitCode {
    logging::start(config.log);
    let is_url = target.contains("://");
    // Nobody needs --demo to say which broker they mean.
    config.demo |= cfg!(feature = "demo") && target == "demo" && config.brokers.iter().all(|(name, _)| name != target);
    let parameter = if is_url { "connection_string" } else { "broker" };
    let arguments = format!("{{\"{parameter}\":{}}}", quoted(target));
    let Some(tool) = tools::find("test_connection") else { return ExitCode::FAILURE };
    let body = match runtime::call_once(config, tool, &arguments) {
        Ok(Ok(body)) => outgoing::text(&*body),
        Ok(Err(failure)) => outgoing::text(&*failure.body()),
        Err(error) => {
            tell(&format!("mqtt-mcp check: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = Json::read(&body);
    let error = result.get("error");
    if error.is_some() {
        let is_usage = error.get("code").is("\"invalid_argument\"");
        // What to do about a wrong argument is said to a model, in its terms.
        let hint = if is_usage { String::new() } else { format!("; {}", error.get("hint")) };
        tell(&plain(&format!("mqtt-mcp check: {}{hint}", error.get("message"))));
        return if is_usage { ExitCode::from(2) } else { ExitCode::FAILURE };
    }
    print(&report(result));
    let health = result.get("overall_health");
    if health.is("\"excellent\"") || health.is("\"good\"") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The steps, what the broker says of itself, and why it is judged so.
fn report(result: Json<'_>) -> String {
    let [broker, port, health] = ["broker", "port", "overall_health"].map(|name| result.get(name));
    let mut out = String::new();
    wrap(&mut out, &plain(&format!("{broker}:{port} is {health}")), 0);
    for step in result.get("steps").rows() {
        let mark = if step.get("ok").is("true") { "ok" } else { "failed" };
        let [name, ms, detail, certificate] = ["name", "ms", "detail", "certificate"].map(|name| step.get(name));
        let mut about = detail.to_string();
        if certificate.is_some() {
            let [subject, issuer, days] = ["subject", "issuer", "days_to_expiry"].map(|name| certificate.get(name));
            about += &format!("; certificate of {subject}, issued by {issuer}, {days} days left");
        }
        out.push_str(&format!("  {mark:6} {:9} {:>9} ms  ", name.to_string(), ms.to_string()));
        wrap(&mut out, &plain(&about), INDENT);
    }
    let info = result.get("broker_info");
    let told: Vec<_> = ["version", "uptime", "clients"]
        .into_iter()
        .filter(|name| info.get(name).is_some())
        .map(|name| format!("{name} {}", info.get(name)))
        .collect();
    let reasons: Vec<_> = result.get("reasons").rows().iter().map(Json::to_string).collect();
    for (title, text) in
        [("broker", told.join(", ")), ("why", reasons.join("; ")), ("next", result.get("hint").to_string())]
    {
        if !text.is_empty() {
            out.push_str(&format!("  {title:6} "));
            wrap(&mut out, &plain(&text), 9);
        }
    }
    out
}

/// Where the details of a step begin.
const INDENT: usize = 33;
