//! What is offered beside the tools, as the protocol asks for it.

use std::rc::Rc;

use crate::mcp::offers::{Completion, Offers};
use crate::mcp::version::Revision;
use crate::mqtt::table::Table;
use crate::rpc::message::Fields;
use crate::rpc::outgoing::Body;
use crate::tools::profile::Profiles;
use crate::{completion, prompts, resources};

/// Prompts, resources and completion over the open sessions.
pub struct Library {
    /// The open sessions.
    pub table: Rc<Table>,
    /// The configured brokers.
    pub profiles: Rc<Profiles>,
}

impl Offers for Library {
    fn prompts(&self, revision: Revision) -> Rc<dyn Body> {
        prompts::list(revision)
    }

    fn prompt(&self, name: &str, arguments: &Fields<'_>) -> Result<Rc<dyn Body>, String> {
        prompts::get(name, arguments)
    }

    fn resources(&self, revision: Revision) -> Rc<dyn Body> {
        resources::list(&self.table, revision)
    }

    fn templates(&self, revision: Revision) -> Rc<dyn Body> {
        resources::templates(revision)
    }

    fn complete(&self, asked: &Completion<'_>) -> Result<Rc<dyn Body>, String> {
        completion::complete(&self.table, &self.profiles, asked)
    }
}
