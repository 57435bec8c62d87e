//! Who asks.

use std::fmt;
use std::sync::Arc;

/// Whom a connection speaks for, as Kafka writes it: `User:NAME`. Cheap to copy, since every request
/// carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Principal(Option<Arc<str>>);

impl Principal {
    /// Somebody who has not said who they are.
    pub const ANONYMOUS: Self = Self(None);

    /// The name behind `User:`.
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or("ANONYMOUS")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User:{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_as_in_kafka() {
        assert_eq!(Principal::ANONYMOUS.to_string(), "User:ANONYMOUS");
    }
}
