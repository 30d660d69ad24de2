//! What a person at a shell asks for beside the server itself; nothing here is part of the protocol.

#[cfg(feature = "analysis")]
pub mod check;
#[cfg(feature = "analysis")]
pub mod json;
pub mod text;
pub mod tools;
#[cfg(feature = "demo")]
pub mod tour;
