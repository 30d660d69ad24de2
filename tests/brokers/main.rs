//! The same black-box tests against several real brokers.

mod broker;
mod collect;
mod connect;
mod habits;
mod overlap;
mod publish;
mod reconnect;
mod scene;
#[expect(dead_code, reason = "shared with the tests of `it`, which need more of it")]
#[path = "../it/support/mod.rs"]
mod support;
