//! Completion of arguments: session ids, configured brokers, and topics that the sessions have shown. What begins with
//! the typed text comes first, then what contains it.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde::Serialize;

use crate::limits::COMPLETIONS_MAX;
use crate::mcp::offers::{Completion, Reference};
use crate::mcp::server::body;
use crate::mqtt::table::Table;
use crate::prompts::{self, Values};
use crate::resources::uri::TOPIC_TEMPLATE;
use crate::rpc::message::text;
use crate::rpc::outgoing::Body;
use crate::tools::Profiles;

/// The result of `completion/complete`; the error is a sentence.
pub fn complete(table: &Table, profiles: &Profiles, asked: &Completion<'_>) -> Result<Rc<dyn Body>, String> {
    let all = match values_of(asked)? {
        Values::Unknown => BTreeSet::new(),
        Values::Sessions => table.list().iter().map(|entry| entry.id.clone()).collect(),
        Values::Brokers => profiles.iter().map(|(name, _)| name.clone()).collect(),
        Values::Topics => topics(table, asked, |topic, all| _ = all.insert(topic.to_owned())),
        Values::Levels => topics(table, asked, |topic, all| all.extend(topic.split('/').map(str::to_owned))),
    };
    let (values, total) = ranked(&all, &asked.value);
    let has_more = values.len() < total;
    Ok(body(&Completed { completion: Found { values, total, has_more } }))
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

/// What `take` makes of the topics of the chosen session, or of all when none was chosen.
fn topics(table: &Table, asked: &Completion<'_>, take: impl Fn(&str, &mut BTreeSet<String>)) -> BTreeSet<String> {
    let chosen = text(&asked.chosen, "session_id").filter(|id| !id.is_empty());
    let mut all = BTreeSet::new();
    for entry in table.list().iter().filter(|entry| chosen.as_ref().is_none_or(|id| *id == entry.id)) {
        entry.connection.look(|session| session.captures.topics_seen().for_each(|topic| take(topic, &mut all)));
    }
    all.remove("");
    all
}

/// The first matches, and how many there are.
fn ranked<'a>(all: &'a BTreeSet<String>, typed: &str) -> (Vec<&'a str>, usize) {
    let typed = typed.to_lowercase();
    let place = |value: &&String| value.to_lowercase().find(&typed).map(|at| at > 0);
    let mut matches: Vec<_> = all.iter().filter_map(|value| Some((place(&value)?, value.as_str()))).collect();
    // Within a rank the order of the alphabet stays.
    matches.sort_by_key(|(contained, _)| *contained);
    let total = matches.len();
    (matches.into_iter().take(COMPLETIONS_MAX).map(|(_, value)| value).collect(), total)
}

#[derive(Serialize)]
struct Completed<'a> {
    completion: Found<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    values: Vec<&'a str>,
    total: usize,
    has_more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_the_text_comes_before_what_contains_it() {
        let all: BTreeSet<_> =
            ["home/kitchen", "home/Hall", "attic/home", "garage", "Home"].map(str::to_owned).into_iter().collect();
        let found = |typed| ranked(&all, typed).0;
        assert_eq!(found("home"), ["Home", "home/Hall", "home/kitchen", "attic/home"]);
        assert_eq!(found("HALL"), ["home/Hall"]);
        assert_eq!(found("").len(), 5);
        assert_eq!(found("x"), Vec::<&str>::new());
    }

    #[test]
    fn no_more_than_a_hundred_are_shown_and_all_are_counted() {
        let all: BTreeSet<_> = (0..250).map(|n| format!("t/{n:03}")).collect();
        let (values, total) = ranked(&all, "t");
        assert_eq!((values.len(), total, values[99]), (100, 250, "t/099"));
    }
}
