//! A budget's promises: what is counted, at which levels something changes, and who ends.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A budget of a thousand bytes, and the one who takes care of it.
struct Watched {
    budget: Budget,
    calls: Arc<Calls>,
    waker: Waker,
}

impl Watched {
    fn new() -> Self {
        let calls = Arc::<Calls>::default();
        let waker = Waker::from(Arc::clone(&calls));
        let watched = Self { budget: Budget::new(Some(1000)), calls, waker };
        assert_eq!(watched.due(), None);
        watched
    }

    fn due(&self) -> Option<Due> {
        match self.budget.poll_due(&Context::from_waker(&self.waker)) {
            Poll::Ready(due) => Some(due),
            Poll::Pending => None,
        }
    }

    fn calls(&self) -> usize {
        self.calls.0.load(SeqCst)
    }

    fn holding(&self, bytes: usize) -> Holding {
        let mut holding = self.budget.hold();
        holding.set(bytes);
        holding
    }
}

#[test]
fn a_charge_counts_until_it_is_dropped() {
    let budget = Budget::new(Some(1000));
    let (mut one, mut other) = (budget.charge(), budget.charge());
    one.set(100);
    other.set(50);
    assert_eq!(budget.used(), 150);
    one.set(30);
    assert_eq!(budget.used(), 80);
    drop(other);
    assert_eq!(budget.used(), 30);
    drop(one);
    assert_eq!(budget.used(), 0);
}

#[test]
fn from_three_quarters_on_a_session_has_room_for_an_equal_share() {
    let budget = Budget::new(Some(100_000));
    let mut sessions: Vec<_> = (0..10).map(|_| budget.hold()).collect();
    sessions[0].set(74_999);
    assert_eq!((budget.room(), budget.is_tight()), (usize::MAX, false));
    sessions[0].set(75_000);
    assert_eq!((budget.room(), budget.is_tight()), (10_000, true));
    sessions.truncate(5);
    assert_eq!(budget.room(), 20_000);
    sessions[1].set(25_000);
    assert_eq!(budget.room(), 0);
}

#[test]
fn room_for_a_few_short_messages_is_always_left() {
    let budget = Budget::new(Some(100_000));
    let sessions: Vec<_> = (0..1000).map(|_| budget.hold()).collect();
    let mut charge = budget.charge();
    charge.set(80_000);
    assert_eq!((budget.room(), budget.share()), (4096, 100), "with {} sessions", sessions.len());
}

#[test]
fn it_eases_below_the_level_at_which_it_became_tight() {
    let watched = Watched::new();
    let mut charge = watched.budget.charge();
    charge.set(750);
    charge.set(701);
    assert!(watched.budget.is_tight());
    assert_eq!((watched.calls(), watched.due()), (0, None));
    charge.set(700);
    assert!(!watched.budget.is_tight());
    assert_eq!((watched.calls(), watched.due(), watched.due()), (1, Some(Due::Wakes), None));
    charge.set(749);
    assert!(!watched.budget.is_tight(), "it was not tight since");
}

#[test]
fn help_is_called_for_once_all_of_it_is_used() {
    let watched = Watched::new();
    let mut holding = watched.holding(999);
    assert_eq!((watched.calls(), watched.budget.excess()), (0, 0));
    holding.set(1000);
    holding.set(1001);
    assert_eq!((watched.calls(), watched.budget.excess()), (1, 51));
    assert_eq!((watched.due(), watched.due()), (Some(Due::Ends), Some(Due::Ends)), "it still is");
    holding.set(949);
    assert_eq!((watched.due(), watched.budget.excess()), (None, 0));
}

#[test]
fn what_ended_sessions_hold_is_counted_and_ends_nobody_else() {
    let watched = Watched::new();
    let (mut one, _other) = (watched.holding(600), watched.holding(500));
    assert_eq!(watched.budget.excess(), 150);
    one.leave();
    assert_eq!((watched.budget.used(), watched.budget.excess(), watched.budget.share()), (1100, 0, 1000));
    let mut rest = one.part(300);
    rest.set(400);
    rest.set(200);
    assert_eq!((watched.budget.used(), watched.budget.excess()), (1300, 0));
    one.set(100);
    assert_eq!((watched.budget.used(), watched.budget.excess()), (800, 0));
    drop((one, rest));
    assert_eq!((watched.budget.used(), watched.due()), (500, Some(Due::Wakes)));
    assert_eq!(watched.holding(500).bytes(), 500);
}

#[test]
fn nothing_new_begins_from_nine_tenths_on() {
    let watched = Watched::new();
    let mut charge = watched.budget.charge();
    charge.set(899);
    assert!(!watched.budget.is_scarce());
    charge.set(900);
    assert!(watched.budget.is_scarce());
}

#[test]
fn a_session_that_is_held_back_is_counted_until_it_ends() {
    let budget = Budget::default();
    let (mut one, mut other) = (budget.hold(), budget.hold());
    one.hold_back(true);
    one.hold_back(true);
    other.hold_back(true);
    assert_eq!(budget.held_back(), 2);
    one.hold_back(false);
    drop(other);
    assert_eq!(budget.held_back(), 0);
}

#[test]
fn another_limit_takes_effect_at_once() {
    let watched = Watched::new();
    let _holding = watched.holding(500);
    watched.budget.set_max(Some(400));
    assert_eq!((watched.budget.is_tight(), watched.due()), (true, Some(Due::Ends)));
    watched.budget.set_max(None);
    assert_eq!(
        (watched.budget.is_tight(), watched.due(), watched.budget.max()),
        (false, Some(Due::Wakes), None)
    );
    assert_eq!((watched.budget.room(), watched.budget.is_scarce()), (usize::MAX, false));
}

#[test]
fn concurrent_changes_leave_a_budget_as_it_should_be() {
    let budget = Budget::new(Some(1000));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mut charge = budget.charge();
            scope.spawn(move || {
                for turn in 0..20_000 {
                    charge.set((turn * 7 + thread * 13) % 400);
                }
            });
        }
    });
    assert_eq!((budget.used(), budget.is_tight()), (0, false));
}

fn holder(id: usize, bytes: usize, seconds: u64) -> Holder<usize> {
    Holder { id, bytes, age: Duration::from_secs(seconds) }
}

#[test]
fn those_end_that_have_held_most_for_longest() {
    let holders = [holder(0, 100, 1), holder(1, 1000, 10), holder(2, 900, 20), holder(3, 10, 900)];
    assert_eq!(choose(holders, 50, 1), [2]);
    assert_eq!(choose(holders, 50, 900), [2]);
    assert_eq!(choose(holders, 50, 901), [2, 1]);
    assert_eq!(choose(holders, 50, 9000), [2, 1, 0], "the last holds less than its share");
    assert_eq!(choose(holders, 50, 0), [0; 0]);
}

proptest! {
    #[test]
    fn as_few_end_as_possible_and_nobody_within_his_share(
        sizes in proptest::collection::vec((0_usize..1000, 0_u64..100), 0..50),
        share in 0_usize..500,
        excess in 0_usize..20_000,
    ) {
        let holders: Vec<_> =
            sizes.iter().enumerate().map(|(id, (bytes, age))| holder(id, *bytes, *age)).collect();
        let chosen = choose(holders.clone(), share, excess);
        let freed: usize = chosen.iter().map(|id| sizes[*id].0).sum();
        prop_assert!(chosen.iter().all(|id| sizes[*id].0 > share));
        let heavy = holders.iter().filter(|holder| holder.bytes > share).count();
        prop_assert!(freed >= excess || chosen.len() == heavy);
        if let Some(last) = chosen.last() {
            prop_assert!(freed - sizes[*last].0 < excess, "one too many");
        }
    }

    #[test]
    fn all_charges_add_up_and_the_levels_follow(
        steps in proptest::collection::vec((0_usize..8, 0_usize..300, any::<bool>()), 0..200),
    ) {
        let watched = Watched::new();
        let mut holdings: Vec<_> = (0..8).map(|_| Some(watched.holding(0))).collect();
        let mut is_tight = false;
        for (which, bytes, ends) in steps {
            let slot = &mut holdings[which];
            match slot {
                Some(_) if ends => *slot = None,
                Some(holding) => holding.set(bytes),
                None => *slot = Some(watched.holding(bytes)),
            }
            let used: usize = holdings.iter().flatten().map(Holding::bytes).sum();
            is_tight = used >= 750 || (is_tight && used > 700);
            prop_assert_eq!(watched.budget.used(), used);
            prop_assert_eq!(watched.budget.is_tight(), is_tight);
            prop_assert_eq!(watched.budget.excess() > 0, used >= 1000);
            prop_assert_eq!(watched.due() == Some(Due::Ends), used >= 1000);
        }
    }
}

#[test]
fn relief_is_awaited_only_where_all_is_used_and_somebody_gives_it() {
    let watched = Watched::new();
    let mut holding = watched.holding(1000);
    assert!(!watched.budget.awaits_relief());
    let relief = watched.budget.relieve();
    assert!(watched.budget.awaits_relief());
    // Who awaits it can be sure that somebody was called.
    assert_eq!((watched.calls(), watched.due()), (1, Some(Due::Ends)));
    holding.leave();
    assert!(!watched.budget.awaits_relief());
    let mut other = watched.holding(1000);
    assert!(watched.budget.awaits_relief());
    other.set(0);
    assert!(!watched.budget.awaits_relief());
    other.set(1000);
    drop(relief);
    assert!(!watched.budget.awaits_relief());
}
