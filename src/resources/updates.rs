//! Telling that resources changed: one subscription per topic and subscriber, its last message, and at most one telling
//! a while. Dropped, a subscription gives back what it holds.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use smol::future::or;

use super::uri::{self, Named};
use super::{Refusal, session};
use crate::clock::Now;
use crate::limits::{RESOURCE_KEPT_MAX_BYTES, RESOURCE_SUBSCRIPTIONS_MAX, RESOURCE_UPDATE_EVERY, SUBACK_WAIT};
use crate::mqtt::capture::{Flow, Recorder, Retained};
use crate::mqtt::link::until;
use crate::mqtt::wire::Publish;
use crate::notify::Notify;
use crate::tools::Context;
use crate::tools::failure::{Code, Failure};
use crate::tools::listen::{Listening, Progress, Wish};

/// The subscriptions to resources, whoever made them.
#[derive(Default)]
pub struct Updates(RefCell<Vec<Weak<Subscription>>>);

/// A topic whose updates are told.
pub struct Subscription {
    /// As the client named it.
    pub uri: String,
    session_id: String,
    topic: String,
    listening: Listening,
    latest: Rc<RefCell<Latest>>,
}

/// The last message on a topic.
#[derive(Default)]
struct Latest {
    payload: Vec<u8>,
    payload_bytes: usize,
    seen: bool,
    changes: u64,
    news: Rc<Notify>,
}

impl Updates {
    /// Begins to subscribe to a topic resource; [`Subscription::granted`] tells whether the broker agreed.
    pub fn begin(&self, context: &Context, uri: &str) -> Result<Rc<Subscription>, Refusal> {
        let (session_id, topic) = match uri::parse(uri).map_err(Refusal::Missing)? {
            Named::Topic { session_id, topic } => (session_id, topic),
            _ => {
                let hint = format!("subscribe to {}", uri::TOPIC_TEMPLATE);
                let message = "only topics can be subscribed to: this resource does not tell of its changes";
                return Err(Refusal::Failed(Failure::new(Code::InvalidArgument, message, hint)));
            }
        };
        let session = session(context, session_id)?;
        self.0.borrow_mut().retain(|open| open.strong_count() > 0);
        if self.0.borrow().len() >= RESOURCE_SUBSCRIPTIONS_MAX {
            let message = format!("{RESOURCE_SUBSCRIPTIONS_MAX} resources are subscribed to, which is the limit");
            return Err(Refusal::Failed(Failure::new(Code::TooManyCalls, message, "unsubscribe from one")));
        }
        let latest = Rc::new(RefCell::new(Latest::default()));
        let wish =
            Wish { filter: &topic, parameter: "uri", qos: 0, retained: Retained::Include, duration: Duration::ZERO };
        let listening = Listening::start(&session.connection, &wish, latest.clone())?;
        let session_id = session_id.to_owned();
        let subscription = Rc::new(Subscription { uri: uri.to_owned(), session_id, topic, listening, latest });
        self.0.borrow_mut().push(Rc::downgrade(&subscription));
        Ok(subscription)
    }

    /// The last message on a topic that is subscribed to, if one came and was kept whole.
    pub(super) fn latest(&self, session_id: &str, topic: &str) -> Option<Vec<u8>> {
        let open = self.0.borrow();
        let mut same = open.iter().filter_map(Weak::upgrade).filter(|s| s.session_id == session_id && s.topic == topic);
        same.find_map(|subscription| {
            let latest = subscription.latest.borrow();
            (latest.seen && latest.payload.len() == latest.payload_bytes).then(|| latest.payload.clone())
        })
    }
}

impl Subscription {
    /// Waits until the subscription is in force.
    pub async fn granted(&self, context: &Context) -> Result<(), Refusal> {
        let mut progress = Progress::new(context, SUBACK_WAIT);
        self.listening.grant(Instant::now() + SUBACK_WAIT, &mut progress).await?;
        Ok(())
    }

    /// Tells of changes, each time at most once a while, until nothing more can come; that is told as a change as well.
    /// `tell` says whether it could.
    pub async fn follow(&self, tell: impl Fn(&str) -> bool) {
        let mut told = 0;
        loop {
            let changed = async {
                let news = self.latest.borrow().news.clone();
                news.until(|| (self.changes() > told).then_some(false)).await
            };
            let is_over = or(changed, async {
                self.listening.over().await;
                true
            })
            .await;
            let changes = self.changes();
            if tell(&self.uri) {
                told = changes;
                if is_over {
                    return;
                }
            }
            until(Instant::now() + RESOURCE_UPDATE_EVERY, pin!(std::future::pending::<()>())).await;
        }
    }

    fn changes(&self) -> u64 {
        self.latest.borrow().changes
    }
}

impl Recorder for Latest {
    fn record(&mut self, message: &Publish<'_>, _now: Now) -> Flow {
        let kept = &message.payload[..message.payload.len().min(RESOURCE_KEPT_MAX_BYTES)];
        // What the broker retained when the subscription began is no change, nor is the same once more after a reconnect.
        let same = self.payload_bytes == message.payload_bytes && self.payload == kept;
        let is_change = !message.retain || (self.seen && !same);
        self.payload.clear();
        self.payload.extend_from_slice(kept);
        self.payload_bytes = message.payload_bytes;
        self.seen = true;
        if is_change {
            self.changes += 1;
            self.news.notify();
        }
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        RESOURCE_KEPT_MAX_BYTES
    }
}
