//! Completion of arguments: session ids, configured brokers, and topics that the sessions have shown. What begins with
//! the typed text comes first, then what contains it.

use std::rc::Rc;

use serde::Serialize;

use crate::limits::COMPLETIONS_MAX;
use crate::mcp::offers::{Completion, Reference};
use crate::mcp::server::body;
use crate::mqtt::seen::Seen;
use crate::mqtt::table::Table;
use crate::prompts::{self, Values};
use crate::resources::uri::TOPIC_TEMPLATE;
use crate::rpc::message::text;
use crate::rpc::outgoing::Body;
use crate::tools::profile::Profiles;

/// The result of `completion/complete`; the error is a sentence.
pub fn complete(table: &Table, profiles: &Profiles, asked: &Completion<'_>) -> Result<Rc<dyn Body>, String> {
    let mut found = Found::new(&asked.value);
    match values_of(asked)? {
        Values::Unknown => {}
        Values::Sessions => table.list().iter().for_each(|entry| found.offer(&entry.id)),
        Values::Brokers => profiles.iter().for_each(|(name, _)| found.offer(name)),
        Values::Topics => topics(table, asked, |topic| found.offer(topic)),
        Values::Levels => topics(table, asked, |topic| topic.split('/').for_each(|level| found.offer(level))),
    }
    let (values, total) = found.ranked();
    let has_more = values.len() < total;
    Ok(body(&Completed { completion: Shown { values, total, has_more } }))
}

fn values_of(asked: &Completion<'_>) -> Result<Values, String> {
    let (values, whose) = match &asked.of {
        Reference::Prompt(name) => {
            let prompt = prompts::find(name).ok_or("ref names no prompt; prompts/list shows them")?;
            (prompt.argument(&asked.argument).map(|argument| argument.values), prompt.name)
        }
        Reference::Resource(uri) if uri == TOPIC_TEMPLATE => {
            let values = match asked.argument.as_str() {
                "session_id" => Some(Values::Sessions),
                "topic" => Some(Values::Topics),
                _ => None,
            };
            (values, TOPIC_TEMPLATE)
        }
        Reference::Resource(_) => return Err(format!("ref names no resource template; there is {TOPIC_TEMPLATE}")),
    };
    values.ok_or_else(|| format!("{whose} has no argument of this name"))
}

/// Gives the topics of the chosen session to `take`, or those of all when none was chosen.
fn topics(table: &Table, asked: &Completion<'_>, mut take: impl FnMut(&str)) {
    let chosen = text(&asked.chosen, "session_id").filter(|id| !id.is_empty());
    for entry in table.list().iter().filter(|entry| chosen.as_ref().is_none_or(|id| *id == entry.id)) {
        entry.connection.look(|session| session.captures.topics_seen().for_each(&mut take));
    }
}

/// The different values that match, in whatever order they were offered.
struct Found<'a> {
    typed: &'a str,
    matching: Seen,
}

impl<'a> Found<'a> {
    fn new(typed: &'a str) -> Self {
        Self { typed, matching: Seen::default() }
    }

    fn offer(&mut self, value: &str) {
        if !value.is_empty() && place(value, self.typed).is_some() {
            self.matching.note(value);
        }
    }

    /// The first ones, and how many there are.
    fn ranked(&self) -> (Vec<&str>, usize) {
        let mut first: Vec<(bool, &str)> = Vec::new();
        let mut total = 0;
        for value in self.matching.iter() {
            total += 1;
            let ranked = (place(value, self.typed) != Some(0), value);
            let at = first.partition_point(|other| *other < ranked);
            if at < COMPLETIONS_MAX {
                first.truncate(COMPLETIONS_MAX - 1);
                first.insert(at, ranked);
            }
        }
        (first.into_iter().map(|(_, value)| value).collect(), total)
    }
}

/// Where the typed text stands in a value; the case of ASCII letters does not matter.
fn place(value: &str, typed: &str) -> Option<usize> {
    let (value, typed) = (value.as_bytes(), typed.as_bytes());
    (0..=value.len().checked_sub(typed.len())?).find(|at| value[*at..at + typed.len()].eq_ignore_ascii_case(typed))
}

#[derive(Serialize)]
struct Completed<'a> {
    completion: Shown<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    values: Vec<&'a str>,
    total: usize,
    has_more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(values: &[&str], typed: &str) -> (Vec<String>, usize) {
        let mut found = Found::new(typed);
        values.iter().for_each(|value| found.offer(value));
        let (values, total) = found.ranked();
        (values.into_iter().map(str::to_owned).collect(), total)
    }

    #[test]
    fn what_begins_with_the_text_comes_before_what_contains_it() {
        let all = ["home/kitchen", "home/Hall", "attic/home", "", "garage", "Home", "home/Hall", "k\u{fc}che"];
        assert_eq!(ranked(&all, "home").0, ["Home", "home/Hall", "home/kitchen", "attic/home"]);
        assert_eq!(ranked(&all, "HALL"), (vec!["home/Hall".to_owned()], 1), "each value once");
        assert_eq!(ranked(&all, "k\u{fc}").1, 1);
        assert_eq!(ranked(&all, "").1, 6);
        assert_eq!(ranked(&all, "no such value").1, 0);
    }

    #[test]
    fn no_more_than_a_hundred_are_shown_and_all_are_counted() {
        let all: Vec<_> = (0..250).map(|n| format!("t/{n:03}")).collect();
        let (values, total) = ranked(&all.iter().rev().map(String::as_str).collect::<Vec<_>>(), "t");
        assert_eq!((values.len(), total, values[0].as_str(), values[99].as_str()), (100, 250, "t/000", "t/099"));
    }
}
