//! Where a session stands and what passed: what `list_active_connections` tells.

use super::error::Trouble;

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Before the first CONNACK.
    Connecting,
    /// CONNACK was received and the connection is alive as far as its checks tell.
    Connected,
    /// Lost, and being made again.
    Reconnecting,
    /// Lost for good: the broker refuses what we have to offer.
    Failed(Trouble),
    /// Closed on purpose.
    Closed,
}

/// What passed, over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections made after the first one.
    pub reconnects: u64,
}
