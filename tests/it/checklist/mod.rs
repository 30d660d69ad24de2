//! What a stdio server owes by the specification of MCP, row by row: [`rows`] names for every row the test that shows it
//! or the reason why it does not bind, [`exchanges`] plays a table of requests in every revision, [`eras`] what needs a
//! conversation.

mod eras;
mod exchanges;
mod rows;
