//! A broker, the server with a session on it, and an independent client: what nearly every test begins with.

use serde_json::{Value, json};

use crate::broker::{Broker, Kind};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::tools::payloads;
use crate::support::wait_for;

/// Runs each test on each broker.
macro_rules! on_every_broker {
    ($($test:ident),+ $(,)?) => {
        on_every_broker!(@on mosquitto Mosquitto $($test)+);
        on_every_broker!(@on amqtt Amqtt $($test)+);
        on_every_broker!(@on aedes Aedes $($test)+);
    };
    (@on $broker:ident $kind:ident $($test:ident)+) => {
        mod $broker {
            $(
                #[test]
                fn $test() {
                    super::$test($crate::broker::Kind::$kind);
                }
            )+
        }
    };
}
pub(crate) use on_every_broker;

pub struct Scene {
    pub kind: Kind,
    pub broker: Broker,
    pub server: Server,
    pub session: String,
    pub client: Client,
}

impl Scene {
    pub fn on(kind: Kind) -> Self {
        let (broker, mut server) = (Broker::start(kind), Server::start());
        let session = server.connect(&broker.url());
        let client = Client::connect(broker.port());
        Self { kind, broker, server, session, client }
    }

    /// Calls a tool on the session.
    pub fn call(&mut self, tool: &str, mut arguments: Value) -> Value {
        arguments["session_id"] = json!(self.session);
        self.server.call(tool, arguments)
    }

    /// Starts to collect and comes back when the subscription is in force. `retained` messages come with it: all these
    /// brokers send SUBACK before them, so their arrival tells.
    pub fn listen(&mut self, arguments: Value, retained: u64) -> Value {
        if retained == 0 {
            return self.server.listen(&self.session, "subscribe_and_collect", arguments);
        }
        let expected = self.messages_in() + retained;
        let id = self.start(arguments);
        self.wait_for_messages_in(expected);
        id
    }

    pub fn start(&mut self, mut arguments: Value) -> Value {
        arguments["session_id"] = json!(self.session);
        self.server.start_call("subscribe_and_collect", arguments)
    }

    /// The messages of the session so far, copies and all.
    pub fn messages_in(&mut self) -> u64 {
        self.server.row(&self.session)["messages_in"].as_u64().expect("a count")
    }

    pub fn wait_for_messages_in(&mut self, at_least: u64) {
        wait_for("messages from the broker", || (self.messages_in() >= at_least).then_some(()));
    }

    /// Makes the broker retain messages. One that was delivered has been stored, which PINGRESP need not mean.
    pub fn retain(&mut self, messages: &[(&str, &str)]) {
        let mut keeper = Client::connect(self.broker.port());
        for (topic, payload) in messages {
            keeper.subscribe(topic, 0);
            keeper.retain(topic, payload);
            while !keeper.receive().payload.eq(payload.as_bytes()) {}
        }
    }

    /// What the broker retains, by the server's own count of when that is complete.
    pub fn retained(&mut self, filter: &str) -> Value {
        self.call("subscribe_and_collect", json!({"topic_pattern": filter, "retained": "only"}))
    }

    /// Comes back when the broker has answered all that the server asked before.
    pub fn settle(&mut self) {
        assert_eq!(self.retained("nothing/here")["original_message_count"], 0);
    }
}

/// The payloads of a result, in the order of the alphabet.
pub fn sorted(collected: &Value) -> Vec<String> {
    let text = |payload: Value| payload.as_str().unwrap_or_else(|| panic!("{payload} is no text")).to_owned();
    let mut seen: Vec<_> = payloads(collected).into_iter().map(text).collect();
    seen.sort();
    seen
}
