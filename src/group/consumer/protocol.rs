//! The protocols in which the coordinator assigns partitions.

/// Whose members they are: it decides how records are written, how members come to their assignments, and what they are
/// refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Consumer groups (KIP-848): a partition has one owner.
    #[default]
    Consumer,
    /// Share groups (KIP-932): members share partitions.
    Share,
    /// Streams groups (KIP-1071): members have tasks of a topology.
    Streams,
}

impl Protocol {
    /// Kafka's name of such groups.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }
}
