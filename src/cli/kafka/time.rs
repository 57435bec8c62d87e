//! Durations and points of time as Kafka's tools take and print them.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// Milliseconds of a duration as `java.time.Duration` reads it: `PnDTnHnMn.nS`. Each number may have its
/// own sign, which ISO 8601 does not allow, and a day is 24 hours.
///
/// # Errors
/// The text is not a duration.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("Text cannot be parsed to a Duration: {text}");
    let upper = text.to_ascii_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P').ok_or_else(wrong)?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(d, t)| (d, Some(t)));
    if time == Some("") || (days.is_empty() && time.is_none()) {
        return Err(wrong());
    }
    let mut total: i64 = 0;
    let mut add = |part: &str, units: &[(char, i64)]| -> Option<()> {
        let mut part = part;
        let mut units = units.iter();
        while !part.is_empty() {
            let at = part.find(|c: char| c.is_ascii_alphabetic())?;
            let unit = part[at..].chars().next()?;
            let ms = units.by_ref().find(|(u, _)| *u == unit)?.1;
            let number = &part[..at];
            let value = match number.split_once('.') {
                Some((whole, fraction)) if unit == 'S' && fraction.len() <= 9 => {
                    let negative = whole.starts_with('-');
                    let whole: i64 =
                        if whole.is_empty() || whole == "-" { 0 } else { whole.parse().ok()? };
                    let digits = format!("{fraction:0<3}");
                    let thousandths: i64 = digits.get(..3)?.parse().ok()?;
                    whole.checked_mul(1000)? + if negative { -thousandths } else { thousandths }
                }
                Some(_) => return None,
                None => number.parse::<i64>().ok()?.checked_mul(ms)?,
            };
            total = total.checked_add(value)?;
            part = &part[at + 1..];
        }
        Some(())
    };
    add(days, &[('D', 86_400_000)]).ok_or_else(wrong)?;
    let units = [('H', 3_600_000), ('M', 60_000), ('S', 1000)];
    add(time.unwrap_or_default(), &units).ok_or_else(wrong)?;
    Ok(total * sign)
}

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:mm:SS.sss`, with or without a fraction, and with an
/// offset (`Z`, `+hh:mm`, `+hhmm`, `+hh`) or in UTC.
pub fn date_time_ms(text: &str) -> Result<i64, String> {
    parse_date_time(text)
        .ok_or_else(|| format!("'{text}' is no date and time: write it as YYYY-MM-DDTHH:mm:SS.sss"))
}

fn parse_date_time(text: &str) -> Option<i64> {
    // More forms exist than Kafka's tools take: a space for the `T`, a time zone in brackets.
    if !text.contains('T') || text.contains('[') {
        return None;
    }
    let parts = Pieces::parse(text).ok()?;
    let local = parts.date().to_datetime(parts.time()?);
    let offset = parts.to_numeric_offset().unwrap_or(Offset::UTC);
    Some(offset.to_timestamp(local).ok()?.as_millisecond())
}

/// `yyyy-MM-dd HH:mm:ss:SSS` in UTC; a time before the year -9999 or after 9999 as a number.
pub fn show_date_time(ms: i64) -> String {
    let shown = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S:%3f").to_string();
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_java_reads_them() {
        for (text, ms) in [
            ("PT0S", 0),
            ("P1D", 86_400_000),
            ("P1DT2H3M4.5S", 93_784_500),
            ("pt15m", 900_000),
            ("-PT1M", -60_000),
            ("PT-6H3M", -21_420_000),
            ("PT0.0005S", 0),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "P", "PT", "1H", "PT1X", "P1H", "PT1S1M", "PT1.5M", "P1DT", "PTS"] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn points_of_time() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000", 0),
            ("2024-02-29T12:34:56.789", 1_709_210_096_789),
            ("2024-02-29T12:34:56.789Z", 1_709_210_096_789),
            ("2024-02-29T14:34:56.789+02:00", 1_709_210_096_789),
            ("2024-02-29T07:34:56.789-0500", 1_709_210_096_789),
            ("1969-12-31T23:59:59.999", -1),
        ] {
            assert_eq!(date_time_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "2024-02-29", "2023-02-29T00:00:00.000", "2024-13-01T00:00:00", "x"] {
            assert!(date_time_ms(bad).is_err(), "{bad}");
        }
        for ms in [0, -1, 1_709_210_096_789, 4_102_444_799_999] {
            let shown = show_date_time(ms);
            let (day, time) = shown.split_once(' ').expect("two words");
            let (clock, thousandths) = time.rsplit_once(':').expect("a fraction");
            assert_eq!(date_time_ms(&format!("{day}T{clock}.{thousandths}")), Ok(ms), "{shown}");
        }
        assert_eq!(show_date_time(1_709_210_096_789), "2024-02-29 12:34:56:789");
    }
}
