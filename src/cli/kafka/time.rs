//! Durations and points of time as Kafka's tools take and print them: ISO 8601, without a library.

/// Milliseconds of a duration as `java.time.Duration` reads it: `PnDTnHnMn.nS`.
///
/// # Errors
/// It is none.
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
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) =
        (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(at);
    let (clock, fraction) = time.split_once('.').map_or((time, "0"), |(c, f)| (c, f));
    let mut clock = clock.split(':');
    let (hour, minute) = (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
    let second = clock.next().map_or(Some(0), |s| digits(s, 2))?;
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let local = ((days_from_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some((local - zone_seconds(zone)?) * 1000 + ms)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let rest: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match rest.len() {
        2 => (digits(&rest, 2)?, 0),
        4 => (digits(&rest[..2], 2)?, digits(&rest[2..], 2)?),
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the civil calendar; years begin in March, so that the leap day is the last.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `yyyy-MM-dd HH:mm:ss:SSS` in UTC.
pub fn show_date_time(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, ms) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}:{ms:03}")
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
