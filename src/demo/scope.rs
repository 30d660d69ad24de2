//! An instrument that sends binary frames: CBOR maps with a count and a waveform.

use super::broker::Broker;
use super::devices::{PER_SECOND, connect, publish, wobble};

/// The instrument.
#[derive(Default)]
pub(super) struct Scope {
    frames: u16,
}

impl Scope {
    /// What happens at a tick.
    pub(super) fn tick(&mut self, broker: &mut Broker, tick: u64) {
        if tick == 0 {
            connect(broker, "demo-scope", "lab/scope/status");
        }
        if tick % (3 * PER_SECOND) == 1 {
            publish(broker, "lab/scope/frame", self.frame(tick));
        }
    }

    /// `{"n": count, "mv": 32 bytes}` (RFC 8949).
    fn frame(&mut self, tick: u64) -> Vec<u8> {
        let [high, low] = self.frames.to_be_bytes();
        self.frames = self.frames.wrapping_add(1);
        let mut frame = vec![0xa2, 0x61, b'n', 0x19, high, low, 0x62, b'm', b'v', 0x58, 32];
        frame.extend((0..32).map(|sample| (128 + wobble(tick, sample, 100)) as u8));
        frame
    }
}
