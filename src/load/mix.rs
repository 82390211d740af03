//! Which transport each session uses: one for all, or a mixture by percentages. Pure.

use std::str::FromStr;

/// How a session reaches its server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// HTTP long-polling, from beginning to end.
    Polling,
    /// One HTTP response that goes on, and requests beside it.
    Streaming,
    /// A WebSocket from the beginning.
    WebSocket,
    /// Long-polling that moves to a WebSocket.
    Upgrade,
}

impl Kind {
    /// Every variant, in the order of its declaration.
    pub(super) const ALL: [Self; KINDS] = [Self::Polling, Self::Streaming, Self::WebSocket, Self::Upgrade];

    /// Returns its name in options and reports.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Streaming => "streaming",
            Self::WebSocket => "websocket",
            Self::Upgrade => "upgrade",
        }
    }

    /// Returns its place in [`Kind::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The share of each kind; they need not add up to a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mix {
    shares: [u32; KINDS],
}

impl Mix {
    /// Creates a mixture with sessions of one kind only.
    pub(super) const fn only(kind: Kind) -> Self {
        let mut shares = [0; KINDS];
        shares[kind.index()] = 1;
        Self { shares }
    }

    /// Returns the kind of each of `count` sessions.
    ///
    /// Kinds take turns, so that a run in which half of the sessions have begun has half of each.
    pub(super) fn kinds(self, count: u32) -> Vec<Kind> {
        let total: i64 = self.shares.iter().copied().map(i64::from).sum();
        let mut done = [0_i64; KINDS];
        let next = |place: u32| {
            // The kind that is furthest behind its share; the first of equals.
            let behind = |kind: &Kind| {
                i64::from(self.shares[kind.index()]) * i64::from(place) - done[kind.index()] * total
            };
            let kind = Kind::ALL.into_iter().rev().max_by_key(behind).unwrap_or(Kind::Polling);
            done[kind.index()] += 1;
            kind
        };
        (1..=count).map(next).collect()
    }

    /// Returns whether there is a session of this kind in a mixture.
    pub(super) const fn has(self, kind: Kind) -> bool {
        self.shares[kind.index()] > 0
    }
}

/// `polling`, or `polling=70,websocket=20,upgrade=10`.
impl FromStr for Mix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |word: &str| Kind::ALL.into_iter().find(|kind| kind.word() == word);
        if let Some(kind) = named(text) {
            return Ok(Self::only(kind));
        }
        let mut shares = [None; KINDS];
        for part in text.split(',') {
            let (word, share) = part.split_once('=').ok_or(EXPECTED)?;
            let kind = named(word).ok_or(EXPECTED)?;
            let share: u32 = share.trim_end_matches('%').parse().map_err(|_| EXPECTED)?;
            if shares[kind.index()].replace(share).is_some() {
                return Err("a transport is named twice");
            }
        }
        let shares = shares.map(Option::unwrap_or_default);
        let total: u64 = shares.iter().copied().map(u64::from).sum();
        if total == 100 { Ok(Self { shares }) } else { Err("the shares do not add up to 100") }
    }
}

/// How many kinds there are.
pub(super) const KINDS: usize = 4;
const EXPECTED: &str =
    "expected polling, streaming, websocket, upgrade, or shares such as polling=70,websocket=30";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_transport_or_shares_of_several_are_read() {
        assert_eq!("upgrade".parse(), Ok(Mix::only(Kind::Upgrade)));
        assert_eq!("polling=70,websocket=20,upgrade=10".parse(), Ok(Mix { shares: [70, 0, 20, 10] }));
        assert_eq!("websocket=50%,polling=50%".parse(), Ok(Mix { shares: [50, 0, 50, 0] }));
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        for text in
            ["", "poling", "polling=", "polling=x", "polling=50", "polling=50,polling=50", "polling=-1"]
        {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_take_turns() {
        let mix: Mix = "polling=50,websocket=25,upgrade=25".parse().unwrap();
        let kinds: Vec<&str> = mix.kinds(8).into_iter().map(Kind::word).collect();
        let half = ["polling", "websocket", "upgrade", "polling"];
        assert_eq!(kinds, [half, half].concat());
    }

    proptest! {
        #[test]
        fn each_kind_has_its_share_within_two_sessions(a in 0_u32..=100, b in 0_u32..=100, count in 0_u32..500) {
            prop_assume!(a + b <= 100);
            let mix = Mix { shares: [a, 0, b, 100 - a - b] };
            let kinds = mix.kinds(count);
            prop_assert_eq!(kinds.len(), count as usize);
            for kind in Kind::ALL {
                let had = kinds.iter().filter(|other| **other == kind).count() as u64 * 100;
                let due = u64::from(mix.shares[kind.index()]) * u64::from(count);
                prop_assert!(had.abs_diff(due) < 200, "{} of {}", had, due);
                prop_assert!(had == 0 || mix.has(kind));
            }
        }
    }
}
