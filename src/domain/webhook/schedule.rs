//! When a delivery is tried again.

use time::Duration;

/// A delivery that failed for this long is given up and kept as a dead letter.
pub const GIVE_UP_AFTER: Duration = Duration::days(3);

/// The longest `Retry-After` of a customer that is honoured.
pub const LONGEST_RETRY_AFTER: Duration = Duration::hours(1);

const STEPS: [Duration; 7] = [
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(10),
];
const AFTERWARDS: Duration = Duration::hours(12);

/// The wait after failed attempt number `attempt` (from 1), ±20 % by `chance` in `0.0..1.0`;
/// `None`: the delivery is `age` old and is given up.
///
/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, then every 12 h until three days have passed.
pub fn next(
    attempt: i32,
    age: Duration,
    retry_after: Option<Duration>,
    chance: f64,
) -> Option<Duration> {
    if age >= GIVE_UP_AFTER {
        return None;
    }
    let step = usize::try_from(attempt.max(1) - 1)
        .ok()
        .and_then(|index| STEPS.get(index));
    let wait = *step.unwrap_or(&AFTERWARDS) * (0.8 + 0.4 * chance);
    let asked = retry_after.map_or(Duration::ZERO, |asked| asked.min(LONGEST_RETRY_AFTER));
    Some(wait.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_schedule_for_three_days() {
        let mut age = Duration::ZERO;
        let mut waits = Vec::new();
        let mut attempt = 1;
        while let Some(wait) = next(attempt, age, None, 0.5) {
            waits.push(wait.whole_seconds());
            age += wait;
            attempt += 1;
        }
        let hours = 3600;
        assert_eq!(
            waits,
            [5, 300, 1800, 2 * hours, 5 * hours, 10 * hours, 10 * hours]
                .into_iter()
                .chain([12 * hours; 4])
                .collect::<Vec<_>>()
        );
        assert!(age >= GIVE_UP_AFTER);
    }

    #[test]
    fn honours_retry_after_up_to_an_hour() {
        let wait = |asked| next(1, Duration::ZERO, Some(asked), 0.5);
        assert_eq!(wait(Duration::minutes(2)), Some(Duration::minutes(2)));
        assert_eq!(wait(Duration::days(9)), Some(Duration::hours(1)));
    }
}
