//! Lists of networks: which addresses may come in.

use std::net::IpAddr;

use ipnet::IpNet;

/// Which addresses may come in, and which may not.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Networks {
    /// Those that may; none are all.
    pub allow: Vec<IpNet>,
    /// Those of them that may not.
    pub deny: Vec<IpNet>,
}

impl Networks {
    /// Returns whether every address may come in.
    pub const fn are_all(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Returns whether this address may come in. One that is not known may, unless only some may.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let is_in = |list: &[IpNet]| {
            address.is_some_and(|address| list.iter().any(|network| network.contains(&address)))
        };
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_may_not_come_in_even_if_it_is_allowed() {
        let list = |list: &[&str]| list.iter().map(|one| one.parse().unwrap()).collect();
        let of = |allow: &[&str], deny: &[&str]| Networks { allow: list(allow), deny: list(deny) };
        for (networks, address, may) in [
            (of(&[], &[]), "192.0.2.1", true),
            (of(&["10.0.0.0/8"], &[]), "10.1.2.3", true),
            (of(&["10.0.0.0/8"], &[]), "192.0.2.1", false),
            (of(&["10.0.0.0/8"], &[]), "::1", false),
            (of(&["10.0.0.0/8"], &["10.1.0.0/16"]), "10.1.2.3", false),
            (of(&["10.0.0.0/8"], &["10.1.0.0/16"]), "10.2.2.3", true),
            (of(&[], &["2001:db8::/32"]), "2001:db8::1", false),
            (of(&[], &["2001:db8::/32"]), "192.0.2.1", true),
            (of(&["0.0.0.0/0"], &[]), "", false),
            (of(&[], &["0.0.0.0/0"]), "", true),
        ] {
            assert_eq!(networks.admit(address.parse().ok()), may, "{networks:?} {address}");
        }
    }
}
