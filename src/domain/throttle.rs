//! How often something may be tried without an account. What counts is decided in the statement that
//! counts (`migrations/0014_people.sql`, `try_throttled`), for all nodes together, by the generic
//! cell rate algorithm (ITU-T I.371).

use time::Duration;

/// A rate: `burst` tries at once, and one more each `interval`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst: i32,
    pub interval: Duration,
}

/// Guesses at one account from one address.
pub const LOGINS_OF_ACCOUNT_FROM_ADDRESS: Rate = Rate {
    burst: 10,
    interval: Duration::minutes(1),
};

/// Guesses at one account from everywhere (NIST SP 800-63B section 5.2.2 asks for 100 at most in a
/// row). Many addresses together can spend them; the owner then waits for a minute, or resets the
/// password.
pub const LOGINS_OF_ACCOUNT: Rate = Rate {
    burst: 100,
    interval: Duration::minutes(1),
};

/// Tries from one address, at whatever account. Offices and providers share addresses.
pub const LOGINS_FROM_ADDRESS: Rate = Rate {
    burst: 300,
    interval: Duration::seconds(1),
};

/// Registrations and requests for mails from one address.
pub const MAILS_FROM_ADDRESS: Rate = Rate {
    burst: 30,
    interval: Duration::seconds(30),
};

/// Mails that strangers may have us send to one address.
pub const MAILS_TO_ACCOUNT: Rate = Rate {
    burst: 5,
    interval: Duration::minutes(10),
};
