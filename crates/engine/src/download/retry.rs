//! When it is worth another try, and after how long. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::patience::Patience;

/// Whether the same request may be answered otherwise a little later.
pub(super) fn is_transient(status: u16) -> bool {
    // Not implemented, and a protocol version that is not supported, stay so.
    matches!(status, 408 | 425 | 429) || (500..600).contains(&status) && !matches!(status, 501 | 505)
}

/// What a server asks for by `Retry-After`: seconds, or until a date.
pub(super) fn asked_wait(header: Option<&str>, now: SystemTime) -> Option<Duration> {
    let text = header?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are longer than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(date(text)?.duration_since(now).unwrap_or_default())
}

/// A date as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let words: Vec<&str> = text.strip_suffix(" GMT")?.split(' ').collect();
    let [_, day, month, year, time] = words[..] else { return None };
    let month = MONTHS.iter().zip(0_u64..).find(|(name, _)| **name == month)?.1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<u64> = time.split(':').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Years that begin in March have their odd day at the end; 719 468 days are from the first of these to 1970.
    let year = if month < 10 { year } else { year - 1 };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let hours = days.checked_sub(719_468)? * 24 + hours;
    Some(UNIX_EPOCH + Duration::from_secs((hours * 60 + minutes) * 60 + seconds))
}

/// How long to wait after so many failures in a row, or none when there is to be no other try. `chance`, from 0 to 1, keeps those who failed
/// together from coming back together.
pub(super) fn wait(patience: &Patience, failures: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    if failures >= patience.tries {
        return None;
    }
    if let Some(asked) = asked {
        return (asked <= patience.longest_asked_wait).then_some(asked);
    }
    let doubled = patience.first_wait.saturating_mul(1 << failures.saturating_sub(1).min(16));
    Some(doubled.min(patience.longest_wait).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience {
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(5),
            longest_asked_wait: Duration::from_secs(60),
            ..Patience::default()
        }
    }

    #[test]
    fn waits_longer_each_time_and_then_gives_up() {
        for (failures, expected) in [(1, Some(1)), (2, Some(2)), (3, Some(4)), (4, Some(5)), (5, None), (99, None)] {
            assert_eq!(
                wait(&patience(), failures, None, 0.0),
                expected.map(Duration::from_secs),
                "{failures}"
            );
        }
        assert_eq!(wait(&patience(), 2, None, 1.0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn waits_as_long_as_it_is_asked_to_but_not_for_ever() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(&patience(), 1, asked(30), 1.0), asked(30));
        assert_eq!(wait(&patience(), 1, asked(0), 0.0), asked(0));
        assert_eq!(wait(&patience(), 1, asked(61), 0.0), None);
        assert_eq!(wait(&patience(), 5, asked(1), 0.0), None);
    }

    #[test]
    fn reads_what_is_asked() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (header, expected) in [
            (Some("3"), Some(3)),
            (Some(" 0 "), Some(0)),
            (Some("99999999999999999999999"), Some(u64::MAX)),
            (Some(""), None),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0)),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30)),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0)),
            (Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0)),
            (Some("Wed, 01 Mar 1995 00:00:00 GMT"), Some(9_904_223)),
            (Some("Thu, 29 Feb 1996 00:00:00 GMT"), Some(41_440_223)),
            (Some("Sun, 06 Nov 1994 08:49:37"), None),
            (Some("Sun, 06 anF 1994 08:49:37 GMT"), None),
            (Some("Sun, 06 Nov 0 08:49:37 GMT"), None),
            (Some("Sun, 06 Nov 1994 08:49 GMT"), None),
            (Some("-1"), None),
            (Some("soon"), None),
            (None, None),
        ] {
            assert_eq!(asked_wait(header, now), expected.map(Duration::from_secs), "{header:?}");
        }
    }

    #[test]
    fn tells_what_passes_from_what_stays() {
        for status in [408, 425, 429, 500, 502, 503, 504, 520] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 206, 301, 400, 401, 403, 404, 410, 416, 501, 505] {
            assert!(!is_transient(status), "{status}");
        }
    }
}
