//! When it is worth another try, and after how long. Pure.

use std::time::Duration;

use super::patience::Patience;

/// Whether the same request may be answered otherwise a little later.
pub(super) fn is_transient(status: u16) -> bool {
    // Not implemented, and a protocol version that is not supported, stay so.
    matches!(status, 408 | 425 | 429) || (500..600).contains(&status) && !matches!(status, 501 | 505)
}

/// What a server asks for by `Retry-After` in seconds.
pub(super) fn asked_wait(header: Option<&str>) -> Option<Duration> {
    let seconds: u64 = header?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
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
        for (header, expected) in [
            (Some("3"), Some(3)),
            (Some(" 0 "), Some(0)),
            (Some("-1"), None),
            (Some("soon"), None),
            (None, None),
        ] {
            assert_eq!(asked_wait(header), expected.map(Duration::from_secs), "{header:?}");
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
