//! What consumers tell each other in a member's metadata (`ConsumerProtocolSubscription`), as far
//! as the coordinator looks.

use std::collections::BTreeSet;

use crate::wire::primitives::{Reader, WireError};

/// The protocol type of consumers.
pub const PROTOCOL_TYPE: &str = "consumer";

/// Adds the topics that a consumer wants. Every version begins with those of version 0, so newer
/// ones are read too.
pub fn subscribed_topics(metadata: &[u8], out: &mut BTreeSet<String>) -> Result<(), WireError> {
    let mut r = Reader::new(metadata);
    let version = r.i16()?;
    if version < 0 {
        return Err(WireError::UnsupportedVersion(version));
    }
    out.extend(r.array(false, 2, |r| r.string(false))?.into_iter().map(str::to_owned));
    Ok(())
}
