//! What members say of records that they have acquired.

use crate::types::ErrorCode;

/// No group has so many offsets of a partition in flight (`group.share.max.partition.max.record.locks`): more types than that
/// are of records that nobody has.
const TYPES_MAX: usize = 10_000;

/// What a member says of a record (KIP-932, KIP-1222).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckType {
    /// There is no such record: it was compacted away, or is a control record.
    Gap,
    /// It was processed.
    Accept,
    /// It is to be delivered again.
    Release,
    /// It is not to be delivered again.
    Reject,
    /// The member needs more time.
    Renew,
}

impl AckType {
    /// As requests have it.
    pub const fn of_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Gap,
            1 => Self::Accept,
            2 => Self::Release,
            3 => Self::Reject,
            4 => Self::Renew,
            _ => return None,
        })
    }
}

/// Offsets in a row, and what is said of each: one type for all, or as many as there are offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckBatch {
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    types: Vec<AckType>,
}

impl AckBatch {
    /// Reads one batch of a request, which stands behind what ends at `after`. `renews`: the request says that it
    /// has types that renew.
    ///
    /// # Errors
    /// `INVALID_REQUEST`: the offsets are none, or not behind the others; too few or too many types, or unknown ones.
    pub fn read(
        first: i64,
        last: i64,
        types: &[i8],
        after: Option<i64>,
        renews: bool,
    ) -> Result<Self, ErrorCode> {
        let count = last.checked_sub(first).filter(|it| *it >= 0 && first >= 0);
        let fits = count.is_some_and(|it| types.len() == 1 || types.len() as i64 - 1 == it)
            && types.len() <= TYPES_MAX;
        if !fits || after.is_some_and(|it| first <= it) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let known = |code: &i8| {
            AckType::of_code(*code)
                .filter(|it| renews || *it != AckType::Renew)
                .ok_or(ErrorCode::INVALID_REQUEST)
        };
        let types = types.iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self { first, last, types })
    }

    /// Whether a lock is to be renewed.
    pub fn renews(&self) -> bool {
        self.types.contains(&AckType::Renew)
    }

    /// Runs of offsets of which the same is said, from `from` on.
    pub fn runs(&self, from: i64) -> impl Iterator<Item = (i64, i64, AckType)> {
        let mut at = self.first.max(from);
        std::iter::from_fn(move || {
            if at > self.last {
                return None;
            }
            let first = at;
            if let [all] = self.types[..] {
                at = self.last + 1;
                return Some((first, self.last, all));
            }
            let index = |offset: i64| (offset - self.first) as usize;
            let said = self.types[index(first)];
            while at <= self.last && self.types[index(at)] == said {
                at += 1;
            }
            Some((first, at - 1, said))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_says_something_of_each_offset() {
        let read = |first, last, types: &[i8]| AckBatch::read(first, last, types, None, false);
        for (first, last, types) in [
            (3, 2, &[1][..]),
            (-1, 2, &[1]),
            (3, 4, &[]),
            (3, 5, &[1, 1]),
            (3, 4, &[1, 1, 1]),
            (3, 4, &[5]),
            (3, 4, &[-1]),
            (3, 4, &[4]),
            (i64::MIN, i64::MAX, &[1]),
            (0, 10_000, &[1; 10_001]),
        ] {
            assert_eq!(read(first, last, types), Err(ErrorCode::INVALID_REQUEST), "{first} {last}");
        }
        let all = read(3, 7, &[2]).unwrap();
        assert_eq!(all.runs(0).collect::<Vec<_>>(), [(3, 7, AckType::Release)]);
        assert_eq!(all.runs(5).collect::<Vec<_>>(), [(5, 7, AckType::Release)]);
        assert_eq!(all.runs(8).count(), 0);
        let each = read(3, 7, &[1, 1, 0, 3, 3]).unwrap();
        let runs: Vec<_> = each.runs(4).collect();
        assert_eq!(runs, [(4, 4, AckType::Accept), (5, 5, AckType::Gap), (6, 7, AckType::Reject)]);
        let renewed = AckBatch::read(3, 4, &[4], None, true).unwrap();
        assert_eq!(renewed.runs(0).next(), Some((3, 4, AckType::Renew)));
        assert!(renewed.renews() && !read(3, 7, &[2]).unwrap().renews());
    }

    #[test]
    fn batches_stand_one_behind_the_other() {
        assert!(AckBatch::read(4, 5, &[1], Some(3), false).is_ok());
        let overlaps = AckBatch::read(4, 5, &[1], Some(4), false);
        assert_eq!(overlaps, Err(ErrorCode::INVALID_REQUEST));
    }
}
