//! From a rate card and a billable time to a price.

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::domain::RateCardId;

/// A price list as it was pinned on a call at its creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub rate_card_id: RateCardId,
    /// ISO 4217.
    pub currency: String,
    /// The price of `price_seconds` seconds, in millionths of the currency's unit.
    pub price_micros: i64,
    pub price_seconds: i32,
    /// Time is billed in whole increments of this many seconds.
    pub increment_seconds: i32,
    /// The least that an answered call is billed for.
    pub minimum_seconds: i32,
}

/// What is measured. One ledger entry per call and meter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Meter {
    /// Connected time of the call's provider leg.
    CallTime,
}

/// The price of a call's connected time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// From the answer to the end, never past the acceptance of a wish to end.
    pub billable_millis: i64,
    /// The billable time as the rate card counts it: at least the minimum, in whole increments.
    pub billed_seconds: i64,
    /// `billed_seconds` × `price_micros` ÷ `price_seconds`, rounded once, half up.
    pub amount_micros: i64,
}

impl Rate {
    /// The price of `billable`. A call that never connected (`None`) costs nothing.
    pub fn price(&self, billable: Option<Duration>) -> Cost {
        let Some(billable) = billable else {
            return Cost {
                billable_millis: 0,
                billed_seconds: 0,
                amount_micros: 0,
            };
        };
        let millis = billable.whole_milliseconds().max(0);
        if millis == 0 {
            return Cost {
                billable_millis: 0,
                billed_seconds: 0,
                amount_micros: 0,
            };
        }
        let increment = i128::from(self.increment_seconds.max(1));
        let seconds = ceil_div(millis, 1000).max(i128::from(self.minimum_seconds));
        let billed = ceil_div(seconds, increment) * increment;
        let unit = i128::from(self.price_seconds.max(1));
        let amount = (billed * i128::from(self.price_micros) * 2 + unit) / (unit * 2);
        Cost {
            billable_millis: narrow(millis),
            billed_seconds: narrow(billed),
            amount_micros: narrow(amount),
        }
    }
}

fn ceil_div(value: i128, by: i128) -> i128 {
    (value + by - 1) / by
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(price_micros: i64, increment_seconds: i32, minimum_seconds: i32) -> Rate {
        Rate {
            rate_card_id: RateCardId(uuid::Uuid::nil()),
            currency: "USD".to_owned(),
            price_micros,
            price_seconds: 60,
            increment_seconds,
            minimum_seconds,
        }
    }

    #[test]
    fn bills_whole_increments_and_the_minimum_and_rounds_once_half_up() {
        // (price per minute, increment, minimum, billable ms) -> (billed seconds, amount)
        let table = [
            ((14_000, 60, 0, 1), (60, 14_000)),
            ((14_000, 60, 0, 60_000), (60, 14_000)),
            ((14_000, 60, 0, 60_001), (120, 28_000)),
            ((14_000, 6, 30, 4_000), (30, 7_000)),
            ((14_000, 6, 30, 31_000), (36, 8_400)),
            ((10_000, 1, 0, 1_000), (1, 167)),
            ((10_000, 1, 0, 2_000), (2, 333)),
            ((90, 1, 0, 1_000), (1, 2)),
            ((30, 1, 0, 1_000), (1, 1)),
            ((29, 1, 0, 1_000), (1, 0)),
            ((14_000, 60, 30, 0), (0, 0)),
            ((i64::MAX, 1, 0, 3_600_000), (3_600, i64::MAX)),
        ];
        for ((price, increment, minimum, millis), (billed, amount)) in table {
            let cost = rate(price, increment, minimum).price(Some(Duration::milliseconds(millis)));
            assert_eq!((cost.billed_seconds, cost.amount_micros), (billed, amount));
            assert_eq!(cost.billable_millis, millis);
        }
    }

    #[test]
    fn a_call_that_never_connected_costs_nothing() {
        assert_eq!(rate(14_000, 60, 60).price(None).amount_micros, 0);
    }
}
