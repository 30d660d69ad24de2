//! Every row of the checklist: J JSON-RPC, F framing, L `initialize`, V envelope, B both eras, P ping, T tools, G
//! pagination, R resources, S `subscriptions/listen`, Q prompts, C completion, O logging, X progress, K cancellation, H
//! caching, M elicitation, A tasks, N `_meta`, Z shutdown.

use std::path::Path;

use crate::support::root;

/// What shows a row: functions of the tests, or a reason why it does not bind.
enum Row {
    /// These test functions, or checks that the harness makes on every line of every test.
    Shown(&'static str),
    /// The exchanges of the table that name the row.
    Table,
    /// It asks nothing of this server.
    Free(&'static str),
}
use Row::{Free, Shown, Table};

const ROWS: &[(&str, Row)] = &[
    ("J1", Shown("owes_what_every_message_owes each_malformed_line_has_its_error_and_the_next_one_is_served")),
    ("J2", Shown("each_malformed_line_has_its_error_and_the_next_one_is_served")),
    ("J3", Shown("ids_keep_value_and_type")),
    ("J4", Shown("owes_what_every_message_owes")),
    ("J5", Shown("owes_what_every_message_owes")),
    ("J6", Shown("a_notification_is_never_answered")),
    ("J7", Shown("owes_what_every_message_owes")),
    ("J8", Shown("an_id_that_is_still_in_flight_is_refused_and_the_first_call_goes_on")),
    (
        "J9",
        Shown(
            "each_malformed_line_has_its_error_and_the_next_one_is_served every_exchange_of_the_table_in_every_revision",
        ),
    ),
    ("J10", Free("the schemas allow no null: the id is left out, as in J11")),
    ("J11", Shown("each_malformed_line_has_its_error_and_the_next_one_is_served")),
    ("J12", Shown("a_batch_is_answered_in_the_revision_that_has_batches")),
    ("J13", Shown("a_handshake_is_never_part_of_a_batch")),
    ("J14", Shown("a_batch_is_answered_in_the_revision_that_has_batches")),
    ("J15", Shown("a_batch_is_refused_in_revisions_without_batches")),
    ("J16", Shown("each_malformed_line_has_its_error_and_the_next_one_is_served")),
    ("J17", Shown("a_notification_is_never_answered")),
    ("F1", Shown("owes_what_every_message_owes bytes_that_are_not_utf_8_are_a_parse_error")),
    ("F2", Shown("owes_what_every_message_owes")),
    ("F3", Shown("the_log_goes_to_stderr_at_the_level_asked_for")),
    ("F4", Shown("owes_what_every_message_owes")),
    ("F5", Shown("owes_what_every_message_owes")),
    ("F6", Shown("owes_what_every_message_owes")),
    ("F7", Shown("carriage_returns_blanks_and_blank_lines_do_not_matter a_last_line_without_its_newline_is_served")),
    ("F8", Shown("answers_come_when_they_are_ready_and_not_in_the_order_of_requests")),
    ("F9", Shown("owes_what_every_message_owes")),
    ("F10", Shown("a_configured_broker_is_reached_by_its_name")),
    ("L1", Shown("initialize_agrees_on_each_revision_that_has_a_handshake")),
    ("L2", Shown("initialize_offers_the_newest_it_has_for_a_revision_it_does_not_know")),
    ("L3", Shown("initialize_offers_the_newest_it_has_for_a_revision_it_does_not_know")),
    ("L4", Shown("initialize_offers_the_newest_it_has_for_a_revision_it_does_not_know")),
    ("L5", Shown("each_revision_sees_what_it_knows_of_a_tool every_exchange_of_the_table_in_every_revision")),
    ("L6", Shown("capabilities_are_what_is_served_in_each_revision")),
    ("L7", Shown("requests_before_initialized_are_served")),
    ("L8", Shown("a_handshake_cannot_be_cancelled")),
    ("L9", Shown("capabilities_are_what_is_served_in_each_revision")),
    ("V1", Shown("discover_tells_all_revisions")),
    ("V2", Shown("an_envelope_must_be_whole")),
    ("V3", Shown("an_envelope_must_be_whole")),
    ("V4", Shown("a_revision_that_is_not_served_is_refused_with_those_that_are")),
    ("V5", Shown("eras_interleave_and_leave_nothing_behind")),
    ("V6", Shown("a_session_is_named_by_its_id_in_both_eras")),
    ("V7", Table),
    ("V8", Table),
    ("V9", Table),
    ("V10", Free("no request needs a capability of the client")),
    ("V11", Shown("owes_what_every_message_owes a_missing_resource_is_told_with_its_name_in_both_eras")),
    ("V12", Table),
    ("V13", Table),
    ("V14", Free("both eras are served")),
    ("V15", Shown("a_stream_without_wishes_is_acknowledged_held_and_ended_at_the_end_of_input")),
    ("B1", Shown("eras_interleave_and_leave_nothing_behind")),
    ("B2", Shown("a_bare_progress_token_is_no_envelope")),
    ("B3", Shown("neither_era_locks_out_the_other")),
    ("B4", Shown("a_request_with_an_envelope_needs_no_handshake")),
    ("B5", Shown("discover_tells_all_revisions an_answer_to_a_probe_that_comes_after_the_handshake_does_no_harm")),
    ("B6", Free("a rule for clients")),
    ("B7", Shown("a_revision_that_is_not_served_is_refused_with_those_that_are")),
    ("B8", Shown("an_initialize_with_an_envelope_is_the_handshake_only_with_its_own_parameter")),
    ("P1", Table),
    ("P2", Table),
    ("P3", Free("a stdio server sends no pings of its own")),
    ("T1", Table),
    ("T2", Shown("the_lists_do_not_change_with_what_was_asked_before")),
    ("T3", Shown("the_lists_do_not_change_with_what_was_asked_before")),
    ("T4", Shown("every_tool_keeps_the_rules_in_every_revision")),
    ("T5", Shown("every_tool_keeps_the_rules_in_every_revision")),
    ("T6", Shown("every_tool_keeps_the_rules_in_every_revision")),
    ("T7", Shown("every_tool_keeps_the_rules_in_every_revision")),
    ("T8", Shown("annotations_are_truthful every_tool_keeps_the_rules_in_every_revision")),
    ("T9", Shown("each_revision_sees_what_it_knows_of_a_tool")),
    ("T10", Shown("check")),
    ("T11", Shown("check every_tool_keeps_the_rules_in_every_revision")),
    ("T12", Shown("check")),
    ("T13", Table),
    ("T14", Free("no result of a tool embeds a resource")),
    ("T15", Table),
    ("T16", Table),
    ("T17", Table),
    ("T18", Table),
    (
        "T19",
        Shown("many_calls_run_at_once_and_those_beyond_the_limit_are_told every_tool_refuses_what_it_does_not_take"),
    ),
    ("T20", Free("no listChanged is declared, and the list never changes")),
    ("T21", Table),
    ("T22", Shown("every_tool_keeps_the_rules_in_every_revision")),
    ("T23", Table),
    ("G1", Table),
    ("G2", Table),
    ("G3", Table),
    ("G4", Table),
    ("R1", Table),
    ("R2", Shown("sessions_and_their_brokers_are_listed_and_can_be_read a_retained_message_is_read_as_what_it_is")),
    ("R3", Shown("a_retained_message_is_read_as_what_it_is")),
    ("R4", Table),
    ("R5", Table),
    ("R6", Shown("a_missing_resource_is_told_with_its_name_in_both_eras a_policy_holds_for_resources_and_completion")),
    ("R7", Shown("a_subscriber_is_told_of_changes_and_reads_the_last_message")),
    ("R8", Table),
    ("R9", Shown("sessions_and_their_brokers_are_listed_and_can_be_read")),
    ("S1", Shown("updates_come_on_the_stream_that_asked_and_only_for_what_was_acknowledged")),
    ("S2", Shown("updates_come_on_the_stream_that_asked_and_only_for_what_was_acknowledged")),
    ("S3", Shown("a_stream_without_wishes_is_acknowledged_held_and_ended_at_the_end_of_input")),
    ("S4", Shown("after_its_cancel_a_stream_is_silent_and_gives_back_what_it_subscribed_to")),
    ("S5", Shown("a_stream_without_wishes_is_acknowledged_held_and_ended_at_the_end_of_input")),
    ("S6", Shown("a_signal_ends_streams_in_order")),
    ("S7", Table),
    ("S8", Shown("capabilities_are_what_is_served_in_each_revision")),
    ("Q1", Shown("every_prompt_describes_itself_and_its_arguments_and_can_be_had")),
    ("Q2", Table),
    ("Q3", Table),
    ("Q4", Shown("a_prompt_without_what_it_needs_is_refused")),
    ("Q5", Shown("everything_that_is_listed_describes_itself")),
    ("C1", Shown("capabilities_are_what_is_served_in_each_revision")),
    ("C2", Shown("topics_that_a_session_has_shown_are_completed")),
    ("C3", Table),
    ("C4", Shown("topics_that_a_session_has_shown_are_completed")),
    ("C5", Shown("what_cannot_be_completed_is_refused a_policy_holds_for_resources_and_completion")),
    ("O1", Shown("owes_what_every_message_owes capabilities_are_what_is_served_in_each_revision")),
    ("O2", Table),
    ("O3", Shown("owes_what_every_message_owes")),
    ("O4", Shown("capabilities_are_what_is_served_in_each_revision")),
    ("O5", Shown("no_log_line_and_no_answer_holds_a_password")),
    (
        "X1",
        Shown(
            "progress_starts_within_a_second_grows_and_ends_with_the_answer a_progress_token_must_be_a_string_or_an_integer",
        ),
    ),
    ("X2", Shown("progress_starts_within_a_second_grows_and_ends_with_the_answer")),
    ("X3", Shown("progress_starts_within_a_second_grows_and_ends_with_the_answer")),
    ("X4", Shown("progress_has_words_in_the_revisions_that_know_them")),
    ("X5", Shown("progress_starts_within_a_second_grows_and_ends_with_the_answer")),
    ("X6", Shown("progress_has_words_in_the_revisions_that_know_them")),
    ("X7", Shown("progress_starts_within_a_second_grows_and_ends_with_the_answer")),
    ("K1", Shown("a_cancelled_call_is_not_answered_and_gives_its_subscription_back")),
    ("K2", Shown("nothing_follows_a_cancel_whatever_the_race")),
    ("K3", Shown("a_cancel_of_what_is_not_there_is_ignored")),
    ("K4", Shown("a_cancel_of_what_is_not_there_is_ignored nothing_follows_a_cancel_whatever_the_race")),
    ("K5", Shown("the_reason_of_a_cancel_is_logged")),
    ("K6", Free("there are no tasks")),
    ("K7", Shown("owes_what_every_message_owes")),
    ("K8", Shown("a_cancelled_connect_leaves_no_session_and_no_connection")),
    ("H1", Table),
    ("H2", Free("no result asks for input")),
    ("H3", Table),
    ("H4", Table),
    ("M1", Free("no result asks for input")),
    ("M2", Free("no result asks for input")),
    ("M3", Free("no result asks for input")),
    ("M4", Free("no result asks for input")),
    ("M5", Shown("owes_what_every_message_owes")),
    ("M6", Free("nothing is asked of the user through the protocol")),
    ("M7", Shown("owes_what_every_message_owes")),
    ("A1", Table),
    ("A2", Free("tasks are not declared")),
    ("A3", Free("tasks are not declared")),
    ("A4", Free("the tasks extension is not declared")),
    ("A5", Free("the tasks extension is not declared")),
    ("A6", Free("the tasks extension is not declared")),
    ("N1", Shown("owes_what_every_message_owes")),
    ("N2", Shown("owes_what_every_message_owes")),
    ("N3", Table),
    ("N4", Table),
    ("Z1", Shown("the_end_of_input_ends_the_server_within_a_second_with_its_answers_written")),
    ("Z2", Shown("end_of_input_and_a_signal_at_once_end_it_in_order")),
    ("Z3", Shown("a_reader_that_is_gone_ends_it_with_success")),
    ("Z4", Shown("a_stream_without_wishes_is_acknowledged_held_and_ended_at_the_end_of_input")),
    ("Z5", Shown("the_end_of_input_ends_the_server_within_a_second_with_its_answers_written")),
];

/// How many rows each letter has.
const COUNTS: &[(char, usize)] = &[
    ('J', 17),
    ('F', 10),
    ('L', 9),
    ('V', 15),
    ('B', 8),
    ('P', 3),
    ('T', 23),
    ('G', 4),
    ('R', 9),
    ('S', 8),
    ('Q', 5),
    ('C', 5),
    ('O', 5),
    ('X', 7),
    ('K', 8),
    ('H', 4),
    ('M', 7),
    ('A', 6),
    ('N', 4),
    ('Z', 5),
];

fn test_sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &test_sources(&path);
        } else {
            text += &std::fs::read_to_string(path).expect("a source file");
        }
    }
    text
}

#[test]
fn every_row_is_shown_by_a_test_that_there_is_or_does_not_bind() {
    let expected: Vec<_> =
        COUNTS.iter().flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}"))).collect();
    assert_eq!(ROWS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(), expected);
    let sources = test_sources(&root().join("tests/it"));
    let table = super::exchanges::rows_shown();
    for (name, row) in ROWS {
        match row {
            Shown(tests) => {
                for test in tests.split(' ') {
                    assert!(sources.contains(&format!("fn {test}(")), "{name}: there is no {test}");
                }
            }
            Table => assert!(table.contains(*name), "{name}: no exchange of the table names it"),
            Free(reason) => assert!(!reason.is_empty() && !table.contains(*name), "{name}"),
        }
    }
}
