//! Settings of the share coordinator.

/// Broker configurations that the share coordinator depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `share.coordinator.snapshot.update.records.per.snapshot`.
    pub updates_per_snapshot: u32,
}

impl Default for Settings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self { updates_per_snapshot: 500 }
    }
}
