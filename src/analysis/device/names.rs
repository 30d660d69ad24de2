//! Which messages are a device's, and which names are like its id.

/// How a device is named in topics.
pub struct Name {
    id: String,
    /// Part of a level is enough.
    contains: bool,
}

impl Name {
    /// The id as whole levels, or with `contains` as part of a level, without regard to case.
    pub fn new(id: &str, contains: bool) -> Self {
        let id = id.trim_matches('/');
        Self { id: if contains { id.to_ascii_lowercase() } else { id.to_owned() }, contains }
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a topic is of this device. An id may be several levels long.
    pub fn is_in(&self, topic: &str) -> bool {
        if self.contains {
            return topic.to_ascii_lowercase().contains(&self.id);
        }
        topic.match_indices(&*self.id).any(|(at, id)| {
            let (before, behind) = (topic.as_bytes()[..at].last(), topic.as_bytes().get(at + id.len()));
            before.is_none_or(|byte| *byte == b'/') && behind.is_none_or(|byte| *byte == b'/')
        })
    }
}

/// The names most like an id among the levels of topics.
pub struct Similar {
    id: String,
    found: Vec<(usize, String)>,
}

/// So many are told.
const SIMILAR_MAX: usize = 5;
/// Longer levels are no ids.
const LEVEL_MAX_BYTES: usize = 64;

impl Similar {
    /// Nothing seen yet.
    pub fn new(id: &str) -> Self {
        Self { id: plain(id), found: Vec::new() }
    }

    /// Looks at the levels of a topic.
    pub fn look_at(&mut self, topic: &str) {
        for level in topic.split('/').filter(|level| level.len() <= LEVEL_MAX_BYTES) {
            if self.found.iter().any(|(_, known)| known == level) {
                continue;
            }
            let Some(distance) = self.distance(level) else { continue };
            let place = self.found.partition_point(|(other, _)| *other <= distance);
            if place < SIMILAR_MAX {
                self.found.truncate(SIMILAR_MAX - 1);
                self.found.insert(place, (distance, level.to_owned()));
            }
        }
    }

    /// The most alike first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|(_, name)| name.as_str())
    }

    /// How far a level is from the id; `None` when it is not like it.
    fn distance(&self, level: &str) -> Option<usize> {
        let (id, level) = (self.id.as_str(), plain(level));
        if level.len() < 2 || id.len() > LEVEL_MAX_BYTES {
            return None;
        }
        if level == id {
            return Some(0);
        }
        // A few letters are in everything.
        let contains = |long: &str, short: &str| short.len() >= 3 && long.contains(short);
        if contains(&level, id) || contains(id, &level) {
            return Some(1 + level.len().abs_diff(id.len()).min(8));
        }
        let edits = edits(id.as_bytes(), level.as_bytes());
        (edits <= (id.len().min(level.len()) / 3).min(3)).then_some(1 + edits)
    }
}

/// Letters and digits alone, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance; swapped neighbours count as one.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_whole_levels_at_any_depth() {
        let pump = Name::new("pump1", false);
        for topic in ["pump1", "home/pump1/status", "a/b/c/pump1", "pump1/x"] {
            assert!(pump.is_in(topic), "{topic}");
        }
        for topic in ["pump10/status", "home/xpump1/status", "home/pump", "Pump1/x"] {
            assert!(!pump.is_in(topic), "{topic}");
        }
        let lamp = Name::new("/kitchen/lamp/", false);
        assert!(lamp.is_in("zigbee2mqtt/kitchen/lamp/set") && !lamp.is_in("zigbee2mqtt/kitchen/lamp2"));
        let part = Name::new("Pump", true);
        assert!(part.is_in("home/pump1/status") && part.is_in("MyPUMP") && !part.is_in("home/lamp"));
    }

    #[test]
    fn similar_names_are_found_the_most_alike_first() {
        let mut similar = Similar::new("pump1");
        for topic in
            ["home/pump-1/status", "home/pump2/x", "lab/PUMP1", "home/lamp/set", "cellar/main_pump1", "a/b/pmup1"]
        {
            similar.look_at(topic);
        }
        let names: Vec<_> = similar.names().collect();
        assert_eq!(names, ["pump-1", "PUMP1", "pump2", "pmup1", "main_pump1"]);
        let mut similar = Similar::new("x");
        similar.look_at("home/living/a/bc");
        assert_eq!(similar.names().count(), 0);
    }
}
