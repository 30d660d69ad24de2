//! A valve that answers commands: `{"id":…,"command":"open"|"close"|"set"|"status","position":0–100}` on its command
//! topic gives `{"id":…,"ok":true,"position":…}` on its response topic, with the same id.

use std::rc::Rc;

use async_io::Timer;

use super::broker::Broker;
use super::devices::{connect, publish, state};
use super::serve::Shared;
use super::session::Key;
use crate::limits::DEMO_ANSWER_AFTER;
use crate::rpc::message::{Fields, json, text};

const COMMAND: &str = "plant/valve1/command";
const RESPONSE: &str = "plant/valve1/response";
const STATE: &str = "plant/valve1/state";

/// Connects the valve.
pub(super) fn connect_valve(broker: &mut Broker) -> Option<Key> {
    let key = connect(broker, "demo-valve1", "plant/valve1/status")?;
    broker.listen(key, COMMAND);
    tell_state(broker, 40);
    Some(key)
}

/// Answers commands, one after the other.
pub(super) async fn run(shared: Rc<Shared>, key: Key) {
    let mut position = 40;
    loop {
        let command = shared.until(|broker| broker.take(key)).await;
        Timer::after(DEMO_ANSWER_AFTER).await;
        let (answer, new) = answer(&command.payload, position);
        shared.with(|broker| {
            publish(broker, RESPONSE, answer);
            if new != position {
                tell_state(broker, new);
            }
        });
        position = new;
    }
}

fn tell_state(broker: &mut Broker, position: i64) {
    state(broker, STATE, format!("{{\"position\":{position}}}"));
}

/// The answer to a command, and the position after it.
fn answer(command: &[u8], position: i64) -> (String, i64) {
    let Some(members) = json::<Fields<'_>>(command) else {
        return ("{\"ok\":false,\"error\":\"not a JSON object\"}".into(), position);
    };
    let wished = members.get("position").and_then(|raw| raw.get().parse().ok()).filter(|wish| (0..=100).contains(wish));
    let moved = match text(&members, "command").as_deref() {
        Some("open") => Ok(100),
        Some("close") => Ok(0),
        Some("status") => Ok(position),
        Some("set") => wished.ok_or("set needs a position from 0 to 100"),
        _ => Err("unknown command: open, close, set or status"),
    };
    let id = members.get("id").map(|id| format!("\"id\":{},", id.get())).unwrap_or_default();
    match moved {
        Ok(position) => (format!("{{{id}\"ok\":true,\"position\":{position}}}"), position),
        Err(why) => (format!("{{{id}\"ok\":false,\"error\":\"{why}\"}}"), position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_answered_under_their_id() {
        for (command, expected, position) in [
            (r#"{"id":"a","command":"open"}"#, r#"{"id":"a","ok":true,"position":100}"#, 100),
            (r#"{"id":7,"command":"set","position":55}"#, r#"{"id":7,"ok":true,"position":55}"#, 55),
            (r#"{"command":"status"}"#, r#"{"ok":true,"position":40}"#, 40),
            (
                r#"{"id":1,"command":"set","position":101}"#,
                r#"{"id":1,"ok":false,"error":"set needs a position from 0 to 100"}"#,
                40,
            ),
            ("[1]", r#"{"ok":false,"error":"not a JSON object"}"#, 40),
            ("\u{fffd}", r#"{"ok":false,"error":"not a JSON object"}"#, 40),
        ] {
            assert_eq!(answer(command.as_bytes(), 40), (expected.to_owned(), position), "{command}");
        }
        let (refused, position) = answer(br#"{"id":1,"command":"explode"}"#, 40);
        assert!(refused.contains("unknown command") && position == 40, "{refused}");
        assert_eq!(answer(&[0xff, 0xfe], 40).1, 40);
    }
}
