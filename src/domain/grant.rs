//! What a token is given, and that it is never more than its maker has.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    AgentId, Timestamp,
    error::FieldProblem,
    token::{Caller, Environment, Scope},
};

/// The most networks that a token may be restricted to.
pub const MOST_SOURCES: usize = 100;

/// All that a token may do, where from and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub environment: Environment,
    pub scopes: Vec<Scope>,
    /// The only agents it may act for; `None`: all.
    pub agent_ids: Option<Vec<AgentId>>,
    /// The only networks it may be used from; `None`: any.
    pub sources: Option<Sources>,
    /// `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// What somebody has who is known by what was checked when he was identified alone.
    pub fn of(caller: &Caller) -> Self {
        Self {
            environment: caller.environment,
            scopes: caller.scopes.clone(),
            agent_ids: caller.agent_ids.clone(),
            sources: None,
            expires_at: None,
        }
    }

    /// What `wanted` has that this has not, each by its place in a request. Empty: who has this may
    /// give `wanted` away.
    pub fn excess(&self, wanted: &Self) -> Vec<FieldProblem> {
        let mut found = Vec::new();
        let mut exceeds = |pointer: String, message: &str| {
            found.push(FieldProblem {
                pointer,
                code: "exceeds_yours",
                message: message.to_owned(),
            });
        };
        if self.environment == Environment::Test && wanted.environment == Environment::Live {
            exceeds("/environment".to_owned(), "must be test, as yours is");
        }
        for (at, scope) in wanted.scopes.iter().enumerate() {
            if !self.scopes.contains(scope) {
                exceeds(format!("/scopes/{at}"), "must be a scope that you have");
            }
        }
        match (&self.agent_ids, &wanted.agent_ids) {
            (None, _) => {}
            (Some(_), None) => exceeds(
                "/agent_ids".to_owned(),
                "must name agents that you may act for",
            ),
            (Some(own), Some(wanted)) => {
                for (at, agent) in wanted.iter().enumerate() {
                    if !own.contains(agent) {
                        exceeds(
                            format!("/agent_ids/{at}"),
                            "must be an agent that you may act for",
                        );
                    }
                }
            }
        }
        let wider = |own: &Sources| {
            let wanted = wanted.sources.as_ref();
            !wanted.is_some_and(|wanted| wanted.within(own))
        };
        if self.sources.as_ref().is_some_and(wider) {
            exceeds(
                "/source_addresses".to_owned(),
                "must lie within the networks that your token is restricted to",
            );
        }
        let later = |own: &Timestamp| wanted.expires_at.is_none_or(|wanted| wanted > *own);
        if self.expires_at.as_ref().is_some_and(later) {
            exceeds(
                "/expires_at".to_owned(),
                "must not be later than your token's",
            );
        }
        found
    }
}

/// Whether somebody with `own` environment and agents may see and revoke a token with `theirs`.
pub fn is_visible(
    own: (Environment, Option<&[AgentId]>),
    theirs: (Environment, Option<&[AgentId]>),
) -> bool {
    let same_world = own.0 == Environment::Live || theirs.0 == Environment::Test;
    let same_agents = match (own.1, theirs.1) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(theirs)) => theirs.iter().all(|agent| own.contains(agent)),
    };
    same_world && same_agents
}

/// Networks that a token may be used from, IPv4 and IPv6. None of them: from nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<IpNet>);

impl Sources {
    /// Reads networks in CIDR notation (RFC 4632, RFC 4291 section 2.3); an address alone is a
    /// network of one. Bits beyond the prefix are dropped.
    ///
    /// # Errors
    /// The place of the first text that is none. An IPv6 network of mapped IPv4 addresses is none:
    /// nothing ever comes from it.
    pub fn parse(texts: &[String]) -> Result<Self, usize> {
        let nets = texts.iter().enumerate().map(|(at, text)| {
            let net = text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            let mapped = |net: &IpNet| net.addr().to_canonical() != net.addr();
            net.ok()
                .filter(|net| !mapped(net))
                .map(|net| net.trunc())
                .ok_or(at)
        });
        nets.collect::<Result<_, _>>().map(Self)
    }

    /// Whether something that comes from `address` is let through; an IPv4 address that is written
    /// as IPv6 counts as what it is.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    fn within(&self, wider: &Self) -> bool {
        let fits = |net: &IpNet| wider.0.iter().any(|wide| wide.contains(net));
        self.0.iter().all(fits)
    }

    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> Sources {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Sources::parse(&texts).unwrap()
    }

    fn agent(n: u128) -> AgentId {
        AgentId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn sources_let_through_what_they_name_and_nothing_else() {
        let sources = sources(&["203.0.113.9/24", "2001:db8::/32", "198.51.100.7"]);
        assert_eq!(
            sources.texts(),
            ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]
        );
        for (address, allowed) in [
            ("203.0.113.255", true),
            ("::ffff:203.0.113.1", true),
            ("198.51.100.7", true),
            ("2001:db8:ffff::1", true),
            ("203.0.114.1", false),
            ("198.51.100.8", false),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(
                sources.allow(address.parse().unwrap()),
                allowed,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_named_by_its_place() {
        for bad in [
            "",
            "203.0.113.0/33",
            "example.com",
            "::ffff:203.0.113.0/120",
            "1.2.3",
            "::/129",
        ] {
            let texts = ["10.0.0.0/8".to_owned(), bad.to_owned()];
            assert_eq!(Sources::parse(&texts), Err(1), "{bad}");
        }
    }

    type Change = fn(&mut Grant);

    #[test]
    fn a_token_is_never_given_more_than_its_maker_has() {
        let narrow = Grant {
            environment: Environment::Test,
            scopes: vec![Scope::CallsRead, Scope::TokensWrite],
            agent_ids: Some(vec![agent(1), agent(2)]),
            sources: Some(sources(&["10.0.0.0/8", "2001:db8::/32"])),
            expires_at: Some(Timestamp::from_unix_millis(1_000)),
        };
        let wide = Grant {
            environment: Environment::Live,
            scopes: vec![Scope::CallsRead, Scope::CallsEnd, Scope::TokensWrite],
            agent_ids: None,
            sources: None,
            expires_at: None,
        };
        let table: [(Change, &[&str]); 13] = [
            (|_| {}, &[]),
            (|grant| grant.scopes.clear(), &[]),
            (
                |grant| grant.environment = Environment::Live,
                &["/environment"],
            ),
            (|grant| grant.scopes.push(Scope::CallsEnd), &["/scopes/2"]),
            (|grant| grant.agent_ids = Some(vec![agent(2)]), &[]),
            (
                |grant| grant.agent_ids = Some(vec![agent(2), agent(3)]),
                &["/agent_ids/1"],
            ),
            (|grant| grant.agent_ids = None, &["/agent_ids"]),
            (
                |grant| grant.sources = Some(sources(&["10.1.0.0/16", "2001:db8:1::1"])),
                &[],
            ),
            (
                |grant| grant.sources = Some(sources(&["10.0.0.0/7"])),
                &["/source_addresses"],
            ),
            (
                |grant| grant.sources = Some(sources(&["10.1.0.0/16", "192.0.2.1"])),
                &["/source_addresses"],
            ),
            (|grant| grant.sources = None, &["/source_addresses"]),
            (
                |grant| grant.expires_at = Some(Timestamp::from_unix_millis(1_001)),
                &["/expires_at"],
            ),
            (|grant| grant.expires_at = None, &["/expires_at"]),
        ];
        for (at, (change, expected)) in table.into_iter().enumerate() {
            let mut wanted = narrow.clone();
            change(&mut wanted);
            let pointers: Vec<String> = narrow
                .excess(&wanted)
                .into_iter()
                .map(|problem| problem.pointer)
                .collect();
            assert_eq!(pointers, expected, "row {at}");
            // Who has all of it may give any of it.
            assert!(wide.excess(&wanted).is_empty(), "row {at}");
        }
    }

    #[test]
    fn a_token_is_seen_in_its_world_and_by_who_may_act_for_its_agents() {
        use Environment::{Live, Test};
        let (one, both) = ([agent(1)], [agent(1), agent(2)]);
        for (own, theirs, visible) in [
            ((Live, None), (Live, None), true),
            ((Live, None), (Test, Some(&one[..])), true),
            ((Test, None), (Live, None), false),
            ((Test, None), (Test, None), true),
            ((Live, Some(&one[..])), (Live, None), false),
            ((Live, Some(&one[..])), (Live, Some(&one[..])), true),
            ((Live, Some(&one[..])), (Live, Some(&both[..])), false),
            ((Live, Some(&both[..])), (Test, Some(&one[..])), true),
        ] {
            assert_eq!(is_visible(own, theirs), visible, "{own:?} {theirs:?}");
        }
    }
}
