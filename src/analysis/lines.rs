//! JSON lines: several JSON texts in one payload, each on a line of its own, as loggers and gateways send what they
//! gathered.

use super::alarm::Role;
use super::look::inspect_json;
use crate::limits::DECODED_PAYLOAD_MAX_BYTES;

/// An array of the lines, if there are more than one and the first is an object. A broken line makes it no such payload,
/// and JSON over several lines is none.
pub fn read(payload: &[u8]) -> Option<String> {
    let text = payload.trim_ascii();
    let mut lines = text.split(|byte| *byte == b'\n');
    let is_read = payload.len() <= DECODED_PAYLOAD_MAX_BYTES
        && text.starts_with(b"{")
        && text.contains(&b'\n')
        && lines.all(|line| inspect_json(Role::Plain, line).is_some());
    if !is_read {
        return None;
    }
    // In JSON a line break stands nowhere else than between its parts.
    let mut array = [b"[", text, b"]"].concat();
    array.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b',');
    String::from_utf8(array).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_texts_on_lines_of_their_own_are_an_array() {
        for (text, expected) in [
            ("{\"a\":1}\n{\"a\":2}", Some("[{\"a\":1},{\"a\":2}]")),
            (" {\"a\":1}\r\n{} \n", Some("[{\"a\":1}\r,{}]")),
            ("{\"a\":1}\n", None),
            ("{\n\"a\":1}\n{\"a\":2}", None),
            ("{\"a\":1}\n{\"a\":2", None),
            ("{\"a\":1}{\"a\":2}", None),
            ("[1]\n[2]", None),
            ("1\n2", None),
            ("", None),
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
