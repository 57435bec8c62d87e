//! Who writes: producer ids, and the bench's own numbers of its writers.

use super::machine::Clock;
use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;

/// The id and epoch of a new idempotent producer.
pub fn producer_id(cluster: &mut Cluster) -> Result<(i64, i16), ClientError> {
    type Init<'a> = InitProducerIdRequest<'a>;
    let request = Init {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..Init::default()
    };
    cluster.call(To::Any, &request, |reply| {
        let response = reply.read::<Init<'_>>()?;
        check_code(response.error_code, || "a producer id".to_owned(), None)?;
        Ok((response.producer_id, response.producer_epoch))
    })
}

/// The number of a writer in what it writes: of which run, and which of its connections.
pub fn writer_id(clock: Clock, i: usize) -> u32 {
    let run = (clock.unix_ms(0) as u32).wrapping_mul(0x9e37_79b9) ^ std::process::id();
    (run << 12) | (i as u32 & 0xfff)
}
