//! Whom to connect to: a configured broker, or what a connection string says.

use std::rc::Rc;

use super::Context;
use super::args::Args;
use super::failure::Failure;
use crate::mqtt::link::Endpoint;
use crate::mqtt::url;
use crate::vault::Sealed;

/// Configured brokers, sorted by name.
pub type Profiles = Vec<(String, Profile)>;

/// What a connection is made with, as far as it is known without the call.
#[derive(Clone)]
pub struct Profile {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The client id to use, if there is one.
    pub client_id: Option<String>,
    /// The keep-alive to use, if there is one.
    pub keep_alive_seconds: Option<u16>,
    /// For the model.
    pub description: Option<String>,
    /// User name and password.
    pub credentials: Rc<Sealed>,
}

impl Profile {
    /// The one that `connection_string` or `broker` names, whichever was given, if the policy allows that way.
    pub(super) fn asked_for(context: &Context, args: &Args) -> Result<Self, Failure> {
        match (args.optional_text("connection_string"), args.optional_text("broker")) {
            (Some(text), None) => Self::from_connection_string(context, text),
            (None, Some(name)) => Self::configured(context, name),
            (Some(_), Some(_)) => Err(Failure::invalid("broker", "must not be given together with connection_string")),
            (None, None) => {
                Err(Failure::invalid("connection_string", "or broker must be given, as in mqtt://localhost:1883"))
            }
        }
    }

    fn from_connection_string(context: &Context, text: &str) -> Result<Self, Failure> {
        context.table.guard().check_connection_string()?;
        let target = url::parse(text).map_err(|what| Failure::invalid("connection_string", what))?;
        let credentials = Rc::new(context.table.vault().seal(&target.credentials).map_err(|_| Failure::internal())?);
        let (endpoint, client_id) = (Endpoint::of(&target), target.client_id);
        Ok(Self { endpoint, client_id, keep_alive_seconds: None, description: None, credentials })
    }

    fn configured(context: &Context, name: &str) -> Result<Self, Failure> {
        if let Some((_, profile)) = context.profiles.iter().find(|(known, _)| known == name) {
            return Ok(profile.clone());
        }
        let names: Vec<_> = context.profiles.iter().map(|(name, _)| name.as_str()).collect();
        let names =
            if names.is_empty() { "none are configured".into() } else { format!("there are: {}", names.join(", ")) };
        Err(Failure::invalid("broker", &format!("must be the name of a configured broker; {names}")))
    }
}
