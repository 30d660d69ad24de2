//! Every number that bounds or waits, with its reason. Units are the last word of a name.
//!
//! Memory sketch, worst case at the defaults: 5 sessions × (2 kB state + 64 kB waiting to be written) + 32 calls ×
//! (1 MiB capture) + one 8 MiB input line. What a normal hour costs is far below: see the README's figures.

use std::time::Duration;

/// Longest input line. A 1 MiB payload of control characters is 6 MiB of JSON escapes; clients stop at 10 MiB.
pub const LINE_MAX_BYTES: usize = 8 << 20;
/// First size of the line buffer, and what it shrinks to when a long line is done.
pub const LINE_IDLE_BYTES: usize = 4096;
/// Members of one JSON-RPC batch (revision 2025-03-26): more than any client sends, few enough to answer at once.
pub const BATCH_MAX: usize = 100;
/// Requests that may be in flight; beyond it a tool call is told `too_many_calls`.
pub const CALLS_MAX: usize = 32;
/// Reading stops while this much output waits: a client that does not read cannot make the server grow.
pub const OUTBOX_MAX_LINES: usize = 256;
/// The same bound for lines that are held as bytes.
pub const OUTBOX_MAX_BYTES: usize = 4 << 20;
/// One write to stdout gathers at most this much: what a pipe takes in one piece without blocking.
pub const WRITE_CHUNK_BYTES: usize = 4096;
/// Longest method, tool or argument name echoed back in an error.
pub const ECHO_MAX_BYTES: usize = 100;
/// Rules of the policy named in one sentence; how many more there are is told.
pub const RULES_SHOWN_MAX: usize = 8;

/// After end of input, calls that were already read may finish for this long.
pub const EOF_GRACE: Duration = Duration::from_millis(400);
/// How long shutdown waits for DISCONNECTs and the last lines to leave; clients kill after one to two seconds.
pub const SHUTDOWN_WAIT: Duration = Duration::from_millis(300);

/// Progress notifications: the first within this time (clients' patience is one second) …
pub const PROGRESS_FIRST: Duration = Duration::from_millis(500);
/// … and then one per this time.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// No progress this close to a call's end: some clients take the response before the notification.
pub const PROGRESS_QUIET: Duration = Duration::from_millis(100);

/// Longest configuration file, and a bound on the memory that its reading takes.
pub const CONFIG_MAX_BYTES: usize = 256 << 10;
/// Longest description of a configured broker; a model reads it with each list of sessions.
pub const DESCRIPTION_MAX_BYTES: usize = 500;

/// Open sessions unless `--max-sessions` says otherwise, and the most it may say.
pub const SESSIONS_DEFAULT: usize = 5;
/// Upper end of `--max-sessions`.
pub const SESSIONS_MAX: usize = 64;
/// A session's life without use unless `--session-ttl` says otherwise.
pub const SESSION_TTL_DEFAULT_SECONDS: u64 = 3600;
/// Upper end of `--session-ttl`.
pub const SESSION_TTL_MAX_SECONDS: u64 = 86_400;

/// Connecting, from name look-up to CONNACK, unless a call says otherwise.
pub const CONNECT_TIMEOUT_DEFAULT_SECONDS: i64 = 30;
/// Upper end of every `timeout_seconds`.
pub const TIMEOUT_MAX_SECONDS: i64 = 120;
/// Least time one resolved address gets before the next is tried.
pub const ADDRESS_TRY_MIN: Duration = Duration::from_millis(250);
/// A reconnect attempt's own deadline.
pub const RECONNECT_ATTEMPT: Duration = Duration::from_secs(30);
/// test_connection gives a connection this long; with all that follows it stays below the 60 s of impatient clients.
pub const CONNECT_TEST_WAIT: Duration = Duration::from_secs(10);
/// PINGREQs of one test …
pub const PINGS_PER_TEST: usize = 5;
/// … which must be answered within this time, all of them.
pub const PING_TEST_WAIT: Duration = Duration::from_secs(5);
/// The subscription of a test is granted within this time.
pub const SUBSCRIBE_TEST_WAIT: Duration = Duration::from_secs(5);
/// What a broker retains of itself has come within this time.
pub const BROKER_INFO_WAIT: Duration = Duration::from_secs(1);
/// A probe message is back within this time.
pub const QOS_PROBE_WAIT: Duration = Duration::from_millis(2500);
/// All of a test behind its connection, for progress messages.
pub const TEST_WAIT: Duration = Duration::from_secs(24);
/// Median ping of an excellent connection: a person sees no delay.
pub const PING_MS_EXCELLENT: f64 = 50.0;
/// Of a good one.
pub const PING_MS_GOOD: f64 = 250.0;
/// Of a fair one: beyond it, what is sent and what is seen lie a second apart.
pub const PING_MS_FAIR: f64 = 1000.0;
/// A step of connecting that takes longer is told.
pub const SLOW_STEP_MS: f64 = 1000.0;
/// A certificate that ends within so many days is told: automatic renewal comes before …
pub const CERTIFICATE_DAYS_GOOD: i64 = 21;
/// … and within so many it is urgent.
pub const CERTIFICATE_DAYS_FAIR: i64 = 7;
/// First wait before a reconnect; doubles with each failure.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a reconnect.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A connection that lived this long starts again with the shortest back-off.
pub const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(30);
/// PINGRESP must come within this time of a PINGREQ (3.1.2.10).
pub const PINGRESP_WAIT: Duration = Duration::from_secs(10);
/// With a short keep-alive PINGRESP must come within the keep-alive, but is never given less than this.
pub const PINGRESP_WAIT_MIN: Duration = Duration::from_secs(2);
/// While data arrives, PINGRESP may queue behind it for this long.
pub const PINGRESP_WAIT_WITH_DATA: Duration = Duration::from_secs(60);
/// Round trips under way that are timed, and that are remembered until their caller looks.
pub const ROUND_TRIPS_TIMED_MAX: usize = 16;
/// SUBACK must come within this time; brokers answer in milliseconds.
pub const SUBACK_WAIT: Duration = Duration::from_secs(10);
/// A socket that takes no byte for this long while bytes wait is dead.
pub const WRITE_STALL: Duration = Duration::from_secs(20);
/// Keep-alive unless a call says otherwise.
pub const KEEP_ALIVE_DEFAULT_SECONDS: i64 = 60;
/// Closing waits this long for DISCONNECT to leave.
pub const DISCONNECT_WAIT: Duration = Duration::from_millis(200);

/// One read from a socket; the buffer is shared by all sessions.
pub const READ_CHUNK_BYTES: usize = 16 << 10;
/// Reads of one session before the others get their turn.
pub const READS_PER_TURN: usize = 4;
/// Messages a millisecond that make a flood: below it a wake-up for each costs less than a tenth of a processor.
pub const FLOOD_PER_MS: u64 = 10;
/// Over which time they are counted.
pub const FLOOD_WINDOW: Duration = Duration::from_millis(2);
/// How long a socket is left alone in a flood: what comes meanwhile fits its buffer in the kernel, and nobody notices.
pub const FLOOD_REST: Duration = Duration::from_micros(500);
/// But not so soon after something was sent, whose answer may come: one that comes later is told a rest too late, which
/// is less than a hundredth of its time.
pub const NO_REST_AFTER_SENDING: Duration = Duration::from_millis(50);
/// Tasks run for this long, and the last one to its end, before new events are looked at.
pub const EVENTS_EVERY: Duration = Duration::from_micros(200);
/// How long the server looks for the next line after one came or left, and for the broker's answer to what it sent, before
/// it sleeps. On the same machine they come within some 40 microseconds, and to sleep and be woken, perhaps on another
/// processor, costs as much again; once for each call of an assistant it is no load.
pub const LOOKS_FOR: Duration = Duration::from_micros(100);
/// Longest packet other than PUBLISH that a broker may send us: SUBACK of one filter is 3 bytes, with room to spare.
pub const CONTROL_PACKET_MAX_BYTES: usize = 16;
/// Acknowledgements and requests that may wait to be written before reading pauses.
pub const UNSENT_MAX_BYTES: usize = 64 << 10;
/// QoS 1 and 2 publishes in flight per session; more wait their turn. Mosquitto's own default is 20.
pub const INFLIGHT_MAX: usize = 16;
/// Publishes that may wait for a turn or a connection per session.
pub const PUBLISH_QUEUE_MAX: usize = 64;
/// Messages that a session may publish within a minute unless told otherwise: no person needs more, clear_retained may
/// take a thousand at a time, and a model in a loop is stopped before a broker minds.
pub const PUBLISHES_PER_MINUTE_DEFAULT: u32 = 6000;
/// Upper end of `--max-publishes-per-minute`.
pub const PUBLISHES_PER_MINUTE_MAX: u32 = 1_000_000;
/// Inbound QoS 2 ids waiting for PUBREL; a broker that leaves more open is cut off.
pub const INBOUND_QOS2_MAX: usize = 1024;
/// One write gives TLS so much, and is told only when the socket has it: small, so that a slow link shows progress.
pub const TLS_WRITE_BYTES: usize = 4096;
/// Reads of a TLS connection that may bring no data before others get their turn; a record takes up to five.
pub const TLS_READS_WITHOUT_DATA: usize = 16;
/// Largest CA, certificate or key file: several times that of a system's CA bundle.
pub const TLS_FILE_MAX_BYTES: u64 = 1 << 20;
/// Names of a certificate that are shown; large sites have hundreds.
pub const CERTIFICATE_NAMES_MAX: usize = 20;
/// Longest text of a certificate that is shown; a host name has 253 characters at most.
pub const CERTIFICATE_TEXT_MAX_BYTES: usize = 256;
/// Largest payload that publish_message sends.
pub const PUBLISH_PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// MQTT strings (3.1.1 section 1.5.3).
pub const STRING_MAX_BYTES: usize = 65_535;
/// Levels in a topic filter; brokers stop at 200 (Mosquitto) or far less.
pub const TOPIC_LEVELS_MAX: usize = 200;
/// Messages with all their copies that show that a broker sends one copy per matching subscription.
pub const COPIES_EVIDENCE: u32 = 3;
/// Possible copies held back until that is known; one round trip's worth.
pub const COPIES_HELD_MAX_BYTES: usize = 64 << 10;
/// Messages remembered to know their copies by; copies follow each other closely.
pub const COPIES_RECENT_MAX: usize = 256;
/// A copy comes within this time, or it was lost.
pub const COPIES_WINDOW: Duration = Duration::from_secs(2);
/// Retained messages are done when a PINGRESP came back and none arrived for this long.
pub const RETAINED_QUIET: Duration = Duration::from_millis(250);
/// So much of each payload is always kept and compared to tell messages apart, however its packet was split.
pub const MARK_PREFIX_BYTES: usize = 512;
/// Retained messages remembered per capture to show each once.
pub const RETAINED_SEEN_MAX: usize = 16_384;
/// Gaps remembered per capture, as many as the back-off allows in a call and the smallest result has room for; later
/// ones are merged into the last.
pub const INTERRUPTIONS_MAX: usize = 7;

/// Topics a session remembers for completion, and the bytes of their names: enough to type by, and little for a session
/// that only waits.
pub const TOPICS_SEEN_MAX: usize = 500;
/// The same bound in bytes.
pub const TOPICS_SEEN_MAX_BYTES: usize = 12 << 10;
/// Values of one completion (schema `CompleteResult`).
pub const COMPLETIONS_MAX: usize = 100;
/// An argument of a prompt: it goes into a model's context.
pub const PROMPT_ARGUMENT_MAX_BYTES: usize = 1024;
/// Resources whose updates are told; each has a subscription and its last message.
pub const RESOURCE_SUBSCRIPTIONS_MAX: usize = 32;
/// `subscriptions/listen` requests that may be open; clients have one or two.
pub const LISTENS_MAX: usize = 8;
/// Updates of one resource are told this often at most; the last one always is.
pub const RESOURCE_UPDATE_EVERY: Duration = Duration::from_secs(1);
/// A longer last message is not kept for a subscribed resource; reading it asks the broker again.
pub const RESOURCE_KEPT_MAX_BYTES: usize = 16 << 10;
/// Reading a topic waits this long for a live message when nothing is retained.
pub const RESOURCE_READ_WAIT: Duration = Duration::from_secs(1);
/// Largest payload that is read as a resource; as JSON text it stays far below the 10 MiB at which clients hang up.
pub const RESOURCE_PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// What a broker tells of itself below `$SYS`: Mosquitto has 3 KiB.
pub const SYS_SNAPSHOT_MAX_BYTES: usize = 16 << 10;

/// Distinct topics a call tracks by name; beyond it they are counted, not named.
pub const TOPICS_TRACKED_MAX: usize = 10_000;
/// Bytes of topic names a call tracks.
pub const TOPIC_NAMES_MAX_BYTES: usize = 1 << 20;
/// Preview of a topic's last payload in list_topics.
pub const PREVIEW_BYTES: usize = 80;
/// Rows of the topic tree.
pub const TREE_ROWS_MAX: usize = 40;
/// Per-topic rows in the pruning report.
pub const OMITTED_TOPICS_MAX: usize = 10;
/// So much of a payload is looked into for its type, shape and what it reports.
pub const INSPECT_MAX_BYTES: usize = 4096;
/// `until` is compared with payloads up to this size.
pub const COMPARE_MAX_BYTES: usize = 1 << 20;
/// Captured topics and payloads one call holds.
pub const CAPTURE_MAX_BYTES: usize = 3 << 20;
/// CBOR and MessagePack up to this size are decoded; telemetry is far smaller.
pub const DECODED_PAYLOAD_MAX_BYTES: usize = 32 << 10;
/// Decoded they are at most about so many times as long: numbers are three times, text that is all control characters
/// six times.
pub const DECODED_FACTOR_MAX: usize = 8;
/// … or this, if that is more: a short payload may say nothing but `{"$undefined":true}`, nineteen times as long.
pub const DECODED_MIN_BYTES: usize = 4096;
/// Levels of arrays, maps and tags that are decoded: as JSON each may take three, and with 64 not every client goes on.
pub const PACKED_DEPTH_MAX: usize = 16;
/// A payload up to this size is read as JSON for a schema; telemetry is far smaller.
pub const SCHEMA_PAYLOAD_MAX_BYTES: usize = 32 << 10;
/// Fields of all groups that get_topic_schema describes, some 200 bytes each.
pub const SCHEMA_NODES_MAX: usize = 8192;
/// Member names of one topic that are looked at to find topics of the same kind.
pub const SCHEMA_TOPIC_MEMBERS_MAX: usize = 64;
/// Levels of objects and arrays that a schema describes.
pub const SCHEMA_DEPTH_MAX: usize = 10;
/// With more names than these an object is a map, whose names are keys.
pub const SCHEMA_MEMBERS_MAX: usize = 64;
/// A longer name is a key, too.
pub const SCHEMA_NAME_MAX_BYTES: usize = 128;
/// Distinct strings that may be an `enum`.
pub const SCHEMA_ENUM_MAX: usize = 8;
/// Kinds of messages that do not fit, named per group; all are counted.
pub const SCHEMA_ANOMALIES_MAX: usize = 20;
/// Examples of one field …
pub const SCHEMA_EXAMPLES_MAX: usize = 3;
/// … each cut at this length; a longer string is in no `enum`.
pub const SCHEMA_EXAMPLE_BYTES: usize = 60;
/// What all calls and watches together may hold of messages and topic names, counted at the bound of each: all calls with
/// their usual bounds, or a dozen with the largest.
pub const HELD_MAX_BYTES: usize = 48 << 20;
/// What a recorder counts for that has no larger bound.
pub const HELD_DEFAULT_BYTES: usize = 256 << 10;
/// Distinct payload shapes a call remembers.
pub const SHAPES_MAX: usize = 512;

/// request_response stops when so many requests in a row stay without answer, or the first ones.
pub const UNANSWERED_MAX: u64 = 3;
/// Between requests that are all alike: further answers to one may take as long again as the first, and at least this …
pub const ANSWERS_SETTLE_MIN: Duration = Duration::from_millis(10);
/// … or this at most, so that twenty requests stay short.
pub const ANSWERS_SETTLE_MAX: Duration = Duration::from_millis(250);
/// So long before a request without answer is given up, or at half of its time, the broker itself is asked for a sign of
/// life: late enough to speak of the end, and longer than a round trip by satellite or a sleepy modem.
pub const BROKER_SIGN_WAIT: Duration = Duration::from_secs(2);
/// Messages that are no answer and are shown beside answers; more are counted.
pub const OTHERS_KEPT_MAX: usize = 20;
/// … and so many of the retained ones and own requests, which can be none.
pub const IGNORED_KEPT_MAX: u64 = 5;
/// Pointers shown of one message that does not match.
pub const MISMATCHES_SHOWN_MAX: usize = 10;
/// How long clear_retained waits for each acknowledgement.
pub const CLEAR_ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(10);
/// Watches that may run; each costs its bytes.
pub const WATCHES_MAX: usize = 5;
/// Messages a watch may keep.
pub const WATCH_CAPACITY_MAX: i64 = 5000;
/// Topics and payloads a watch keeps.
pub const WATCH_MAX_BYTES: usize = 512 << 10;
/// Longer payloads are cut by a watch.
pub const WATCH_PAYLOAD_MAX_BYTES: usize = 4096;
/// `wait_seconds` of read_watch: as long as the least patient clients wait.
pub const WATCH_WAIT_MAX_SECONDS: i64 = 60;

/// `duration_seconds` of monitor_performance: half an hour shows what comes in cycles.
pub const MONITOR_DURATION_MAX_SECONDS: i64 = 1800;
/// Seconds that are counted one by one: the longest call and the wait for its subscription.
pub const SECONDS_COUNTED_MAX: usize = MONITOR_DURATION_MAX_SECONDS as usize + 60;
/// A burst is made of consecutive seconds with at least this many times the messages of the mean second …
pub const BURST_FACTOR: f64 = 2.0;
/// … and more than chance gives: this many times the mean's square root above it (Poisson) …
pub const BURST_SPREAD: f64 = 4.0;
/// … and so many more: where little comes, a device that sends a dozen topics at once, as each minute, is no burst.
pub const BURST_MORE_MESSAGES: f64 = 15.0;
/// Bursts that are listed; all are counted.
pub const BURSTS_SHOWN_MAX: usize = 20;
/// Topics beyond those tracked by name of which the busiest are found: each has less than 1/256 of that traffic wrong.
pub const HEAVY_NAMES_MAX: usize = 256;
/// Counters for what the others of them weigh at most, 64 kB: ten thousands of topics that come once share each with few.
pub const HEAVY_COUNTERS: usize = 8192;
/// Longer names among them are cut.
pub const HEAVY_NAME_MAX_BYTES: usize = 200;
/// `$SYS` topics whose values are kept: those of a small cluster.
pub const BROKER_FACTS_MAX: usize = 64;
/// Their names and values are cut, or left out, beyond this.
pub const BROKER_FACT_MAX_BYTES: usize = 128;
/// A round trip is timed at most this often …
pub const PING_EVERY_MIN: Duration = Duration::from_secs(1);
/// … and about so many times in a call.
pub const PINGS_PER_RUN: u32 = 60;

/// `duration_seconds` of debug_device: two beats of what beats every few minutes.
pub const DEBUG_DURATION_MAX_SECONDS: i64 = 600;
/// Longest `device_id`: several levels of a topic.
pub const DEVICE_ID_MAX_BYTES: usize = 300;
/// Messages of the device that debug_device shows …
pub const RECENT_MESSAGES: usize = 20;
/// … chosen from so many, that each topic has some among them …
pub const RECENT_CANDIDATES: usize = 80;
/// … so much of each payload …
pub const RECENT_PAYLOAD_BYTES: usize = 512;
/// … and what is kept to choose them from.
pub const RECENT_MAX_BYTES: usize = 128 << 10;
/// Topics of one device that are looked at one by one; on further ones messages are counted.
pub const DEVICE_TOPICS_MAX: usize = 500;
/// Intervals of a topic whose median is taken: all of a slow beat, the latest of a fast one.
pub const INTERVALS_KEPT: usize = 64;
/// Longest intervals of a topic that are remembered over the whole call.
pub const GAPS_KEPT: usize = 8;
/// Numbers in one topic's messages that are followed; device messages rarely have more.
pub const FIELDS_PER_TOPIC_MAX: usize = 32;
/// Numbers of all topics of a device that are followed: half a megabyte.
pub const FIELDS_MAX: usize = 2000;
/// Members of members of members: deeper ones are not followed.
pub const FIELD_DEPTH_MAX: usize = 4;
/// Measurements on one topic whose units are compared; gateways that send more of them in turn are rare.
pub const UNITS_PER_TOPIC_MAX: usize = 8;
/// Last-will and status topics of a device.
pub const PRESENCE_TOPICS_MAX: usize = 16;
/// Changes of each that are shown.
pub const PRESENCE_CHANGES_KEPT: usize = 8;
/// Commands that are shown with their answers; all are counted.
pub const COMMANDS_KEPT: usize = 50;
/// Something new after a command may be its answer for so long; after it the command counts as unanswered.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// On a topic that belongs to the command's it is one also after this: gates and blinds take their time.
pub const LATE_ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Different reports of errors and warnings that are shown; all are counted.
pub const REPORTS_KEPT: usize = 40;
/// Topics of others whose payloads name the device.
pub const MENTIONS_KEPT: usize = 5;
/// Times of their own that a device's topics tell, and Sparkplug nodes whose numbers are followed.
pub const DEVICE_CLOCKS_MAX: usize = 16;
/// Names of Sparkplug metrics that are remembered for their aliases: those of some nodes with some hundred metrics.
pub const SPARKPLUG_ALIASES_MAX: usize = 512;
/// A device's clock may be so far from this machine's.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(10);
/// A retained message whose own time is older is stale; sleepy sensors report less often than once an hour.
pub const STALE_AFTER: Duration = Duration::from_secs(12 * 3600);
/// A measurement with two decimals that is the same so many times is suspicious.
pub const NEVER_MOVED_MESSAGES: u32 = 20;
/// With one decimal it takes half as many again, and this time: rooms are slow.
pub const NEVER_MOVED_FOR: Duration = Duration::from_secs(120);

/// `duration_seconds` of collecting calls; longer waits are made of several calls.
pub const DURATION_MAX_SECONDS: i64 = 300;
/// Result size unless a call says otherwise, about 10,000 tokens; clients cut at 25,000.
pub const RESPONSE_DEFAULT_BYTES: i64 = 32_768;
/// Least `max_response_bytes`.
pub const RESPONSE_MIN_BYTES: i64 = 1024;
/// Most `max_response_bytes`; with its text copy a line stays far below the 10 MiB at which clients hang up.
pub const RESPONSE_MAX_BYTES: i64 = 1 << 20;

// The demo broker: room for a person who tries things out. Against hostile local clients it holds about 10 MiB at most.
/// Connections from outside the process at once.
pub const DEMO_CLIENTS_MAX: usize = 16;
/// Sessions of clients, of the simulated devices, and kept ones together.
pub const DEMO_SESSIONS_MAX: usize = 32;
/// Longest packet.
pub const DEMO_PACKET_MAX_BYTES: usize = 128 << 10;
/// Filters of one client, and in one packet.
pub const DEMO_SUBSCRIPTIONS_MAX: usize = 64;
/// Longest filter.
pub const DEMO_FILTER_MAX_BYTES: usize = 1024;
/// Retained messages.
pub const DEMO_RETAINED_MAX: usize = 500;
/// Topics and payloads of retained messages.
pub const DEMO_RETAINED_MAX_BYTES: usize = 256 << 10;
/// Messages that wait for one client: all retained ones and some.
pub const DEMO_QUEUE_MAX_MESSAGES: usize = 1000;
/// Their bytes.
pub const DEMO_QUEUE_MAX_BYTES: usize = 512 << 10;
/// Bytes that wait for all clients.
pub const DEMO_QUEUES_MAX_BYTES: usize = 4 << 20;
/// QoS 1 and 2 messages on their way to one client.
pub const DEMO_INFLIGHT_MAX: usize = 16;
/// QoS 2 messages of one client that wait for PUBREL.
pub const DEMO_INBOUND_MAX: usize = 64;
/// One read from a client.
pub const DEMO_READ_BYTES: usize = 4 << 10;
/// Messages are encoded until this much waits to be written to a client …
pub const DEMO_OUTPUT_BYTES: usize = 16 << 10;
/// … and its packets are not read while this much does.
pub const DEMO_OUTPUT_MAX_BYTES: usize = 64 << 10;
/// CONNECT must come within this time.
pub const DEMO_CONNECT_WAIT: Duration = Duration::from_secs(5);
/// After a failure to accept, which is the system's lack of something, the next attempt waits.
pub const DEMO_ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// The simulated devices' clock.
pub const DEMO_TICK: Duration = Duration::from_millis(500);
/// How long the simulated valve takes to answer a command.
pub const DEMO_ANSWER_AFTER: Duration = Duration::from_millis(80);

const _: () = assert!(DEMO_RETAINED_MAX_BYTES <= DEMO_QUEUE_MAX_BYTES && DEMO_RETAINED_MAX <= DEMO_QUEUE_MAX_MESSAGES);
const _: () = assert!(LINE_MAX_BYTES > 6 * PUBLISH_PAYLOAD_MAX_BYTES + 64 * 1024);
const _: () = assert!(CAPTURE_MAX_BYTES > 2 * RESPONSE_MAX_BYTES as usize);
const _: () = assert!(
    HELD_MAX_BYTES
        > CALLS_MAX * (3 * RESPONSE_DEFAULT_BYTES as usize + TOPIC_NAMES_MAX_BYTES) + WATCHES_MAX * WATCH_MAX_BYTES
);
const _: () = assert!(DECODED_PAYLOAD_MAX_BYTES >= SCHEMA_PAYLOAD_MAX_BYTES);
const _: () = assert!(INBOUND_QOS2_MAX < 65_535 && INFLIGHT_MAX < 65_535);
const _: () = assert!(EOF_GRACE.as_millis() + SHUTDOWN_WAIT.as_millis() < 1000);

/// Messages of others that `debug_device` looks into for their time; of later ones, one in as many.
pub const OTHERS_READ: u64 = 64;
