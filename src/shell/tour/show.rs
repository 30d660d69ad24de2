//! Results in a few lines. Every number, and every word that could be another one, is read from the result.

use super::screen::Screen;
use crate::shell::json::Json;

type Shown = Result<(), String>;

pub(super) fn connected(result: Json<'_>, screen: &mut Screen) -> Shown {
    let [status, broker, port] = ["status", "broker", "port"].map(|name| result.get(name));
    let [protocol, ms, ttl] = ["protocol", "connect_ms", "session_ttl_seconds"].map(|name| result.get(name));
    screen.answer(&format!(
        "{status} to {broker}:{port} with {protocol} in {ms} ms; the session ends after {ttl} s without use"
    ))
}

pub(super) fn topics(result: Json<'_>, screen: &mut Screen) -> Shown {
    let [topics, messages] = ["topic_count", "message_count"].map(|name| result.get(name));
    screen.answer(&format!("topics: {topics}, messages: {messages}"))?;
    for row in result.get("tree").rows() {
        let [prefix, topics, messages] = ["prefix", "topics", "messages"].map(|name| row.get(name).to_string());
        if prefix.contains('/') {
            screen.row(&format!("{prefix:20} topics {topics:>2}  messages {messages:>3}"))?;
        }
    }
    Ok(())
}

pub(super) fn messages(result: Json<'_>, screen: &mut Screen) -> Shown {
    let (count, arrived) = (result.get("message_count"), result.get("original_message_count"));
    let arrived = if arrived.is_some() { format!(" of {arrived} that arrived") } else { String::new() };
    screen.answer(&format!("messages: {count}{arrived}"))?;
    result.get("messages").rows().into_iter().try_for_each(|message| row(message, screen))
}

pub(super) fn schemas(result: Json<'_>, screen: &mut Screen) -> Shown {
    let [samples, groups, anomalies] = ["sample_count", "group_count", "anomaly_count"].map(|name| result.get(name));
    screen.answer(&format!("samples: {samples}, groups: {groups}, anomalies: {anomalies}"))?;
    for group in result.get("schemas").rows() {
        let [pattern, topics, confidence] = ["topic_pattern", "topics", "confidence"].map(|name| group.get(name));
        screen.row(&format!("{pattern}: topics {}, confidence {confidence}", topics.get("count")))?;
        for (name, property) in group.get("schema").get("properties").members() {
            let [kind, least, most, format] = ["type", "minimum", "maximum", "format"].map(|name| property.get(name));
            let range = if least.is_some() { format!(" from {least} to {most}") } else { String::new() };
            let format = if format.is_some() { format!(" ({format})") } else { String::new() };
            screen.row(&format!("  {name}: {kind}{range}{format}"))?;
        }
    }
    Ok(())
}

pub(super) fn device(result: Json<'_>, screen: &mut Screen) -> Shown {
    screen.answer(&result.get("summary").to_string())?;
    for (name, list) in [("warning", "warnings"), ("error", "errors")] {
        for report in result.get(list).rows() {
            screen.text(&format!("{name}: {}", report.get("payload")))?;
        }
    }
    for status in result.get("availability").rows() {
        let changes: Vec<_> =
            status.get("changes").rows().iter().map(|change| change.get("value").to_string()).collect();
        let [topic, value] = ["topic", "value"].map(|name| status.get(name));
        screen.text(&format!("availability: {topic} is {value}, changed to {}", changes.join(", ")))?;
    }
    for beat in result.get("heartbeats").rows() {
        let [topic, period, missed] = ["topic", "period_ms", "missed"].map(|name| beat.get(name));
        screen.text(&format!("beat of {topic}: every {period} ms, missed {missed}"))?;
    }
    Ok(())
}

pub(super) fn response(result: Json<'_>, screen: &mut Screen) -> Shown {
    let [received, sent] = ["received", "sent"].map(|name| result.get(name));
    screen.answer(&format!("requests: {sent}, answers: {received}"))?;
    for response in result.get("responses").rows() {
        row(response, screen)?;
        screen.row(&format!("after {} ms", response.get("round_trip_ms")))?;
    }
    Ok(())
}

pub(super) fn watching(result: Json<'_>, screen: &mut Screen) -> Shown {
    screen.answer(&format!("recording since {}", result.get("listening_since")))
}

pub(super) fn performance(result: Json<'_>, screen: &mut Screen) -> Shown {
    screen.answer(&result.get("summary").to_string())
}

pub(super) fn stopped(result: Json<'_>, screen: &mut Screen) -> Shown {
    let [status, count, dropped] = ["status", "message_count", "dropped"].map(|name| result.get(name));
    screen.answer(&format!("{status}; messages recorded in all: {count}, dropped: {dropped}"))
}

pub(super) fn closed(result: Json<'_>, screen: &mut Screen) -> Shown {
    screen.answer(&format!("{} at {}", result.get("status"), result.get("closed_at")))
}

fn row(message: Json<'_>, screen: &Screen) -> Shown {
    let [topic, payload, retain] = ["topic", "payload", "retain"].map(|name| message.get(name));
    screen.row(&format!("{topic}{} {payload}", if retain.is("true") { " (retained)" } else { "" }))
}
