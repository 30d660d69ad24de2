//! The protocol's revisions and what differs between them.

use serde::{Serialize, Serializer};

/// A published revision of MCP. The order is the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26: annotations, batches, progress messages.
    V2025_03_26,
    /// 2025-06-18: titles, structured results, no batches.
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28: no handshake; each request says who asks and how.
    V2026_07_28,
}

impl Revision {
    /// All that are served, newest first.
    pub const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];
    /// Those a request names in its own `_meta`.
    pub const MODERN: [Self; 1] = [Self::V2026_07_28];
    /// The newest that a handshake can agree on.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The served revision of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Whether requests carry the protocol in `_meta` instead of a handshake.
    pub fn is_modern(self) -> bool {
        Self::MODERN.contains(&self)
    }

    /// What `initialize` answers to a wish: that revision, or the newest a handshake can have.
    pub fn negotiate(wish: &str) -> Self {
        Self::find(wish).filter(|revision| !revision.is_modern()).unwrap_or(Self::NEWEST_LEGACY)
    }

    /// JSON-RPC batches were in this revision alone.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Tool annotations and progress messages.
    pub fn has_annotations(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// The capability that says that `completion/complete` is served; the method is older.
    pub fn has_completions_capability(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Titles, output schemas and structured results.
    pub fn has_structured_results(self) -> bool {
        self >= Self::V2025_06_18
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_gets_what_it_asks_or_the_newest_it_can_have() {
        for revision in Revision::ALL {
            let expected = if revision.is_modern() { Revision::NEWEST_LEGACY } else { revision };
            assert_eq!(Revision::negotiate(revision.name()), expected);
        }
        for wish in ["2099-12-31", "1.0.0", ""] {
            assert_eq!(Revision::negotiate(wish), Revision::V2025_11_25);
        }
    }
}
