//! What CBOR, MessagePack and JSON lines say, as JSON text: whoever reads JSON reads them. Lines are an array.
//!
//! Of the packed ones, only a map that has members, and printable text for their keys, is taken for one of them, or what
//! calls itself CBOR: other items are too easily made by chance, and every byte must have its place. What JSON cannot say
//! is an object whose members begin with `$`:
//!
//! | value | JSON |
//! |---|---|
//! | byte string | `{"$base64":"AQI="}` |
//! | not a number, infinite | `{"$float":"NaN"}`, `"Infinity"`, `"-Infinity"` |
//! | undefined, other simple values | `{"$undefined":true}`, `{"$simple":99}` |
//! | tagged item | `{"$tag":1,"$value":1363896240}` |
//! | MessagePack's timestamp, in seconds since 1970 | `{"$timestamp":1363896240.5}` |
//! | MessagePack's other extensions | `{"$ext":5,"$base64":"AQI="}` |
//! | map with keys that are no text, come twice or begin with `$` | `{"$map":[[1,"a"],[1,"b"]]}` |
//!
//! Integers of any size that matters, also big ones (tags 2 and 3), are written with all their digits, and numbers in
//! half and single precision with as many as tell them apart.

#[cfg(feature = "binary")]
mod cbor;
#[cfg(feature = "binary")]
mod form;
#[cfg(feature = "binary")]
mod message_pack;
#[cfg(feature = "binary")]
mod writer;

use super::binary::Magic;
use super::lines;
#[cfg(feature = "binary")]
pub use form::is_well_formed;
#[cfg(feature = "binary")]
use writer::decode as packed;

/// What a payload says.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// CBOR, MessagePack or JSON lines.
    pub magic: Magic,
    /// As JSON text.
    pub json: String,
}

/// How what JSON cannot say is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Exactly, as above.
    Exact,
    /// As a reader of JSON takes it (RFC 8949, section 6.1): tags left out, bytes as their base64, no number as null.
    Plain,
}

/// The tag that says "this is CBOR", and nothing else.
pub(super) const SELF_DESCRIBED: &[u8] = b"\xd9\xd9\xf7";

/// What a whole payload says, if it is one of them.
pub fn decode(payload: &[u8], form: Form) -> Option<Decoded> {
    lines::read(payload).map(|json| Decoded { magic: Magic::JsonLines, json }).or_else(|| packed(payload, form))
}

/// Of CBOR and MessagePack nothing is recognised in a build without the feature `binary`.
#[cfg(not(feature = "binary"))]
fn packed(_: &[u8], _: Form) -> Option<Decoded> {
    None
}

/// The same here.
#[cfg(not(feature = "binary"))]
pub fn is_well_formed(_: &[u8]) -> bool {
    false
}

#[cfg(all(test, feature = "binary"))]
#[path = "decode_tests.rs"]
mod tests;
