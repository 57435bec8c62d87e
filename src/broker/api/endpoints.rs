//! Where brokers are: told to clients that have asked one that does not lead any more (KIP-951).

use crate::controller::{Broker, Image};
use crate::wire::{WireError, Writer};

/// All brokers, where a leader has moved; else none.
pub fn endpoints(image: &Image, moved: bool) -> impl Iterator<Item = &Broker> {
    image.brokers().filter(move |_| moved).map(|it| &**it)
}

/// Writes them as flexible versions of Fetch and `ShareFetch` have them.
pub fn write_endpoints(w: &mut Writer, image: &Image, moved: bool) -> Result<(), WireError> {
    let brokers: Vec<&Broker> = endpoints(image, moved).collect();
    w.array(&brokers, true, |w, broker| {
        w.i32(broker.id);
        w.string(&broker.host, true)?;
        w.i32(i32::from(broker.port));
        w.nullable_string(broker.rack.as_deref(), true)?;
        w.varint(0);
        Ok(())
    })
}
