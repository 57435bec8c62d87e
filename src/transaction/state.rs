//! Where a transactional id is.

/// As `TransactionState` of Kafka 4.3. Only what a record may hold: `Dead` and `PrepareEpochFence` are
/// writes that are pending, and have no name here but for filters of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A producer has its id and epoch, and no transaction.
    Empty,
    /// A transaction has partitions.
    Ongoing,
    /// It commits: markers are on their way.
    PrepareCommit,
    /// It aborts: markers are on their way.
    PrepareAbort,
    /// It was committed.
    CompleteCommit,
    /// It was aborted.
    CompleteAbort,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's number, as records have it.
    pub(super) const fn number(self) -> i8 {
        self as i8
    }

    /// The state of this number.
    pub(super) fn from_number(number: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether a state of Kafka's has this name.
    pub fn is_known(name: &str) -> bool {
        let others = ["Dead", "PrepareEpochFence"];
        Self::ALL.iter().map(|it| it.name()).chain(others).any(|it| it == name)
    }

    /// Whether markers are on their way.
    pub(super) const fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}
