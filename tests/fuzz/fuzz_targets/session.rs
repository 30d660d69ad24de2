//! Any bytes from a broker, in any pieces, against framing, session and captures: no panic, and every connection ends
//! or goes on by the session's own word.
#![no_main]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use mqtt_mcp::clock::Now;
use mqtt_mcp::mqtt::capture::{Flow, Recorder, Retained};
use mqtt_mcp::mqtt::inflight::Publish;
use mqtt_mcp::mqtt::session::Session;
use mqtt_mcp::mqtt::wire;

struct Count(usize);

impl Recorder for Count {
    fn record(&mut self, message: &wire::Publish<'_>, _now: Now) -> Flow {
        assert!(message.payload.len() <= message.payload_bytes);
        self.0 += message.payload.len();
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        32
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[pieces, qos], stream)) = bytes.split_first_chunk() else { return };
    let mut now = Now { at: Instant::now(), unix_ms: 0 };
    let mut session = Session::new(60);
    session.connection_opened(0, now.at + Duration::from_secs(10));
    let count = Rc::new(RefCell::new(Count(0)));
    for (filter, retained) in [("#", Retained::Include), ("a/+", Retained::Only), ("a/#", Retained::Exclude)] {
        session.capture(now, filter, qos % 3, retained, count.clone());
    }
    for chunk in stream.chunks(usize::from(pieces) + 1) {
        let message = Publish { topic: "t".into(), payload: Rc::from([1]), qos: qos % 3, retain: false };
        session.publish(now, message);
        if session.handle_bytes(now, chunk).is_err() {
            break;
        }
        while !session.output().is_empty() {
            let size = session.output().len();
            session.wrote(now, size);
        }
        now = now.plus(Duration::from_millis(100));
        if session.handle_timeout(now).is_err() {
            break;
        }
    }
});
