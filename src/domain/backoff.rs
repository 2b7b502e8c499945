//! How long to wait before the next attempt of a call job.

use time::Duration;

/// The first wait; each further one doubles: 250 ms, 500 ms, 1 s, 2 s, 4 s, 8 s, then 15 s.
pub const FIRST: Duration = Duration::milliseconds(250);

/// The longest wait between two attempts to end a call: somebody is paying for it meanwhile.
pub const LONGEST: Duration = Duration::seconds(15);

/// The wait after the failed attempt number `attempt` (from 1), spread by ±20 % with `chance` in
/// `0.0..1.0`, and never shorter than what the provider asked for (clamped to 60 s).
pub fn after(attempt: i32, asked: Option<Duration>, chance: f64) -> Duration {
    let doublings = attempt.clamp(1, 7) - 1;
    let base = (FIRST * 2_i32.pow(doublings.unsigned_abs())).min(LONGEST);
    let spread = base * (0.8 + 0.4 * chance);
    asked.map_or(spread, |asked| spread.max(asked.min(Duration::seconds(60))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let waits: Vec<i128> = (1..=9)
            .map(|attempt| after(attempt, None, 0.5).whole_milliseconds())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]
        );
    }

    #[test]
    fn honours_what_the_provider_asked_within_reason() {
        assert_eq!(
            after(1, Some(Duration::seconds(7)), 0.5),
            Duration::seconds(7)
        );
        assert_eq!(
            after(1, Some(Duration::days(1)), 0.5),
            Duration::seconds(60)
        );
        assert_eq!(
            after(1, Some(Duration::ZERO), 0.0),
            Duration::milliseconds(200)
        );
    }
}
