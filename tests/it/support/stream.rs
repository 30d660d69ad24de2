//! Recorded traffic, with the truth about it beside it. A line is a message: `ms` since the beginning, `topic`, and `json`,
//! `text` or `base64` for the payload; `retain` when it was retained.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::root;

pub struct Recorded {
    pub ms: u64,
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
}

/// The names of all streams, sorted.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(root().join("tests/data/streams")).expect("streams");
    let name = |file: std::io::Result<std::fs::DirEntry>| {
        file.expect("a file").file_name().to_str()?.strip_suffix(".jsonl").map(str::to_owned)
    };
    let mut names: Vec<_> = files.filter_map(name).collect();
    names.sort();
    names
}

pub fn read(name: &str) -> Vec<Recorded> {
    let path = root().join(format!("tests/data/streams/{name}.jsonl"));
    let text = std::fs::read_to_string(&path).expect("a stream");
    text.lines().map(|line| message(&serde_json::from_str(line).expect("a message"))).collect()
}

pub fn truth(name: &str) -> Value {
    let path = root().join(format!("tests/data/streams/{name}.truth.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect("the truth")).expect("JSON")
}

fn message(line: &Value) -> Recorded {
    let payload = match (&line["json"], line["text"].as_str(), line["base64"].as_str()) {
        (Value::Null, Some(text), _) => text.as_bytes().to_vec(),
        (Value::Null, _, Some(text)) => Base64::decode_vec(text).expect("base64"),
        (json, _, _) => json.to_string().into_bytes(),
    };
    Recorded {
        ms: line["ms"].as_u64().expect("ms"),
        topic: line["topic"].as_str().expect("a topic").to_owned(),
        payload,
        retain: line["retain"] == true,
    }
}
