//! A transaction, as groups know of it.

/// The producer of a transaction that commits offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Markers of it that had come when its transaction was seen to be open, modulo 256: nothing is to be
    /// appended where one came since.
    pub markers: Option<u8>,
}

/// The end of a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    /// The producer.
    pub producer_id: i64,
    /// The epoch of the marker.
    pub producer_epoch: i16,
    /// It commits, or aborts.
    pub commits: bool,
    /// Epoch of the coordinator.
    pub coordinator_epoch: i32,
    /// Each transaction of the producer has an epoch of its own.
    pub own_epoch: bool,
    /// The owner's number for who waits for it.
    pub ticket: u64,
}
