//! Where a share group begins that has read nothing yet (`share.auto.offset.reset`).

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShareReset {
    /// At the end of the log.
    #[default]
    Latest,
    /// At its start.
    Earliest,
    /// At the first record that is no older than so many ms.
    ByDuration(i64),
}

impl ShareReset {
    /// Reads `latest`, `earliest`, or `by_duration:` and a duration of ISO 8601: days, hours, minutes, seconds.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "latest" => Some(Self::Latest),
            "earliest" => Some(Self::Earliest),
            _ => duration_ms(text.strip_prefix("by_duration:")?).map(Self::ByDuration),
        }
    }
}

/// A duration as Java reads it (`PnDTnHnMn.nS`), none that is negative, ms.
fn duration_ms(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0i64, time);
    if !days.is_empty() {
        total = whole(days.strip_suffix('D')?)?.checked_mul(86_400_000)?;
    }
    for (unit, ms) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            total = total.checked_add(whole(number)?.checked_mul(ms)?)?;
            rest = behind;
        }
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?;
        let (seconds, part) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
        if part.len() > 9 || !part.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let ms: String = part.chars().chain("000".chars()).take(3).collect();
        let ms = whole(seconds)?.checked_mul(1_000)?.checked_add(whole(&ms)?)?;
        total = total.checked_add(ms)?;
    }
    Some(total)
}

fn whole(digits: &str) -> Option<i64> {
    let number = digits.strip_prefix('+').unwrap_or(digits);
    let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    if is_number { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kafka_documents() {
        assert_eq!(ShareReset::read("latest"), Some(ShareReset::Latest));
        assert_eq!(ShareReset::read("earliest"), Some(ShareReset::Earliest));
        for (text, ms) in [
            ("P2D", 172_800_000),
            ("PT1H", 3_600_000),
            ("P1DT2H3M4.5S", 93_784_500),
            ("pt0.25s", 250),
            ("PT90M", 5_400_000),
        ] {
            let read = ShareReset::read(&format!("by_duration:{text}"));
            assert_eq!(read, Some(ShareReset::ByDuration(ms)), "{text}");
        }
        for text in
            ["", "none", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:1H"]
        {
            assert_eq!(ShareReset::read(text), None, "{text}");
        }
        for text in ["-PT1H", "PT-1H", "P1H", "PT1X", "PT1S2", "P1DT", "PT9999999999999999999S"] {
            assert_eq!(ShareReset::read(&format!("by_duration:{text}")), None, "{text}");
        }
    }
}
