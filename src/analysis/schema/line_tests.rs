//! Schemas of JSON lines.

use super::describe::Analysis;
use super::{Class, Sample};
use crate::analysis::payload;

fn sample(payload: &str) -> Sample<'_> {
    let kind = payload::inspect(payload.as_bytes(), true).kind;
    Sample { topic: "a/log", payload: payload.as_bytes(), payload_bytes: payload.len(), kind, unix_ms: 0 }
}

#[test]
fn json_lines_are_a_form_of_their_own_and_a_broken_line_is_named() {
    let mut payloads: Vec<_> = (0..20).map(|n| format!("{{\"t\":{n}}}\n{{\"t\":{n}.5}}\n")).collect();
    payloads.push("{\"t\":7}\n".into());
    let reasons = |payloads: &[String]| -> Vec<String> {
        let mut analysis = Analysis::new(payloads.iter().map(|payload| sample(payload)));
        let groups: Vec<_> = (0..analysis.len()).map(|index| analysis.describe(index)).collect();
        assert_eq!((groups.len(), groups[0].profile.count_of(Class::JsonLines)), (1, 20));
        groups[0].anomalies.iter().map(|anomaly| anomaly.reason.clone()).collect()
    };
    assert_eq!(reasons(&payloads), [""; 0]);
    payloads.push("{\"t\":1}\n{\"t\":\n".into());
    assert_eq!(reasons(&payloads), ["one of its lines is malformed JSON"]);
}
