//! A hundred nodes that join, crash, restart, move and change names, while their lists of each other are stale or forget half: in the
//! end each finds every session, none passes a request on twice, and none dials without pause.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::backend::Backend;
use super::dice::Dice;
use super::net::Net;
use super::site::{Common, Site};
use crate::background::Background;
use crate::cluster::{Roster, resolved_by};
use crate::session;
use crate::sid::{Node, Tag};

/// Where nodes learn of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// A host name has their addresses, of which their names are made.
    Dns,
    /// They have names, which they may change, and are listed with their addresses.
    Names,
}

struct World {
    net: Net,
    common: Common,
    source: Source,
    dice: Dice,
    list: List,
    homes: Vec<Home>,
    /// Ids of sessions whose nodes are gone.
    dead: Vec<String>,
    starts: u16,
}

struct Home {
    site: Arc<Site>,
    address: String,
    sid: String,
}

/// The list of nodes as its source has it.
#[derive(Clone)]
struct List(Arc<Mutex<Listed>>);

struct Listed {
    now: Vec<(Tag, String)>,
    before: Vec<(Tag, String)>,
    /// Whether it may be stale, or forget half.
    is_wild: bool,
    dice: Dice,
    looks: usize,
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_by_dns_find_each_session_after_any_disorder() {
    World::of(Source::Dns).live().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_by_name_find_each_session_after_any_disorder() {
    World::of(Source::Names).live().await;
}

impl World {
    fn of(source: Source) -> Self {
        let dice = Dice::new(source as u64);
        let listed =
            Listed { now: Vec::new(), before: Vec::new(), is_wild: false, dice: dice.clone(), looks: 0 };
        Self {
            net: Net::default(),
            common: Common::of("engine.io", "/engine.io/", session::Settings::default()),
            source,
            dice,
            list: List(Arc::new(Mutex::new(listed))),
            homes: Vec::new(),
            dead: Vec::new(),
            starts: 0,
        }
    }

    async fn live(mut self) {
        for _ in 0..NODES {
            self.join();
        }
        sleep(TWO_LOOKS).await;
        self.assert_all_found().await;
        self.list.lock().is_wild = true;
        for _ in 0..80 {
            self.disturb();
            // Nobody waits long, whatever is wrong.
            let asked = join_all((0..5).map(|_| self.any_request()).collect::<Vec<_>>());
            let statuses = timeout(Duration::from_secs(5), asked).await.expect("each request ends");
            assert!(
                statuses.iter().all(|status| [FOUND, UNKNOWN, UNREACHED].contains(status)),
                "{statuses:?}"
            );
            sleep(Duration::from_millis(200)).await;
        }
        self.list.lock().is_wild = false;
        for home in &self.homes {
            self.net.silence(&home.address, false);
        }
        sleep(TWO_LOOKS).await;
        self.assert_all_found().await;
        // One that has just joined or restarted is found at once: nobody waits for the next look.
        for _ in 0..5 {
            self.join();
            self.restart();
            let newest = self.homes.iter().rev().take(2).map(|home| home.sid.clone()).collect::<Vec<_>>();
            let askers = (0..10).map(|_| self.dice.below(self.homes.len())).collect::<Vec<_>>();
            let asked = newest.iter().flat_map(|sid| askers.iter().map(move |&asker| (asker, sid)));
            let statuses = join_all(asked.map(|(asker, sid)| self.ask(asker, sid))).await;
            assert!(statuses.iter().all(|status| *status == FOUND), "{statuses:?}");
        }
        self.assert_dials_bounded();
    }

    fn any_request(&mut self) -> impl Future<Output = u16> + use<> {
        let asker = self.dice.below(self.homes.len());
        let is_dead = !self.dead.is_empty() && self.dice.chance(30);
        let sid =
            if is_dead { self.dice.of(&self.dead).clone() } else { self.dice.of(&self.homes).sid.clone() };
        self.ask(asker, &sid)
    }

    /// Asks a node about a session, in a way that its owner refuses without a change.
    fn ask(&self, asker: usize, sid: &str) -> impl Future<Output = u16> + use<> {
        let site = Arc::clone(&self.homes[asker].site);
        let target = format!("/engine.io/?EIO=4&transport=websocket&sid={sid}");
        async move {
            let (status, body) = site.get(&target).await;
            if body.contains("\"code\":3") { FOUND } else { status }
        }
    }

    fn disturb(&mut self) {
        let sides = if self.source == Source::Dns { 5 } else { 7 };
        match self.dice.below(sides) {
            0 => self.join(),
            1 if self.homes.len() > NODES * 8 / 10 => drop(self.crash()),
            2 | 3 => self.restart(),
            5 => {
                let home = self.crash();
                let tag = self.fresh_tag();
                self.start(tag, &home.address);
            }
            6 => {
                let home = self.crash();
                let address = self.fresh_address();
                self.start(home.site.node.tag, &address);
            }
            _ => {
                let is_silent = self.dice.chance(50);
                let address = self.dice.of(&self.homes).address.clone();
                self.net.silence(&address, is_silent);
            }
        }
    }

    fn join(&mut self) {
        let address = self.fresh_address();
        let tag = if self.source == Source::Dns { Tag::of_address(&address) } else { self.fresh_tag() };
        self.start(tag, &address);
    }

    fn restart(&mut self) {
        let home = self.crash();
        self.start(home.site.node.tag, &home.address);
    }

    fn crash(&mut self) -> Home {
        let number = self.dice.below(self.homes.len());
        let home = self.homes.swap_remove(number);
        self.net.leave(&home.address);
        home.site.kill();
        self.dead.push(home.sid.clone());
        self.publish();
        home
    }

    fn start(&mut self, tag: Tag, address: &str) {
        self.starts += 1;
        let node = Node::from_random(
            tag,
            [(self.starts / 64).to_be_bytes()[1], (self.starts % 64).to_be_bytes()[1]],
        );
        let (list, source) = (self.list.clone(), self.source);
        let roster = |background: &Background| match source {
            Source::Dns => resolved_by(move || list.addresses().boxed(), "peers", background),
            Source::Names => list.roster(background),
        };
        let site = Site::start(&self.net, &self.common, node, address, roster);
        let sid = site.begin(&Backend::default());
        self.homes.push(Home { site, address: address.to_owned(), sid });
        self.publish();
    }

    fn publish(&self) {
        let mut listed = self.list.lock();
        let now = self.homes.iter().map(|home| (home.site.node.tag, home.address.clone())).collect();
        listed.before = std::mem::replace(&mut listed.now, now);
    }

    fn fresh_address(&self) -> String {
        format!("10.0.{}.{}:7400", self.starts / 250, self.starts % 250)
    }

    fn fresh_tag(&self) -> Tag {
        Tag::of_name(&format!("n{}", self.starts)).unwrap()
    }

    /// Fails unless each session is found at each of some nodes, in one hop, and no dead one anywhere.
    async fn assert_all_found(&mut self) {
        let asks = |homes: &[Home]| -> u64 {
            homes.iter().flat_map(|home| home.site.cluster.sights(0)).map(|sight| sight.asked).sum()
        };
        let before = asks(&self.homes);
        let mut foreign = 0;
        for owner in 0..self.homes.len() {
            let sid = self.homes[owner].sid.clone();
            let askers = [self.dice.below(self.homes.len()), self.dice.below(self.homes.len()), owner];
            let statuses = join_all(askers.map(|asker| self.ask(asker, &sid))).await;
            foreign += askers.iter().filter(|asker| **asker != owner).count() as u64;
            assert_eq!(statuses, [FOUND; 3], "{owner} at {askers:?}");
        }
        // One at each node that is not the owner, and no other.
        let hops = asks(&self.homes) - before;
        assert_eq!(hops, foreign);
        let dead: Vec<_> = self.dead.iter().rev().take(50).cloned().collect();
        for sid in dead {
            let asker = self.dice.below(self.homes.len());
            let before = asks(&self.homes);
            let status = self.ask(asker, &sid).await;
            assert!([UNKNOWN, UNREACHED].contains(&status), "{status}");
            assert!(asks(&self.homes) <= before + 1, "nobody passes it on");
        }
    }

    /// Fails if a node dialled another one without pauses.
    fn assert_dials_bounded(&self) {
        let mut dials: HashMap<_, Vec<Instant>> = HashMap::new();
        let all = self.net.dials();
        let (first, last) = (all[0].0, all[all.len() - 1].0);
        let count = all.len();
        for (at, from, to) in all {
            dials.entry((from, to)).or_default().push(at);
        }
        let in_ten_seconds = |times: &Vec<Instant>| {
            let within = |at: &Instant| {
                times.iter().filter(|other| **other >= *at && **other < *at + 10 * SECOND).count()
            };
            times.iter().map(within).max().unwrap_or_default()
        };
        let most = dials.values().map(in_ten_seconds).max().unwrap_or_default();
        println!(
            "{count} dials in {:?}, {most} of one pair in 10 s, {} looks",
            last - first,
            self.list.lock().looks
        );
        assert!(most <= 12, "{most} dials of one node by another in ten seconds");
    }
}

impl List {
    /// Returns what a look at the list finds.
    fn look(&self) -> Vec<(Tag, String)> {
        let mut listed = self.lock();
        listed.looks += 1;
        let Listed { now, before, is_wild, dice, .. } = &mut *listed;
        match dice.below(4) {
            0 if *is_wild => before.clone(),
            1 if *is_wild => now.iter().filter(|_| dice.chance(50)).cloned().collect(),
            _ => now.clone(),
        }
    }

    fn addresses(&self) -> impl Future<Output = std::io::Result<Vec<SocketAddr>>> + use<> {
        let addresses = self.look().into_iter().map(|(_, address)| address.parse().unwrap()).collect();
        async { Ok(addresses) }
    }

    fn roster(&self, background: &Background) -> Roster {
        let (keeper, roster) = Roster::kept();
        let (list, stop) = (self.clone(), background.stop.clone());
        background.spawn_vital("the list of this test", async move {
            let keep = async {
                loop {
                    let begun = Instant::now();
                    let nodes: BTreeMap<_, _> =
                        list.look().into_iter().map(|(tag, address)| (tag, vec![address])).collect();
                    keeper.publish(nodes, begun);
                    sleep(Duration::from_millis(250)).await;
                    let _due = timeout(Duration::from_secs(2), keeper.wanted()).await;
                }
            };
            let _stopped: Option<()> = stop.run_until_cancelled(keep).await;
        });
        roster
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap()
    }
}

const NODES: usize = 100;
const SECOND: Duration = Duration::from_secs(1);
/// Two looks at a name take so long at most.
const TWO_LOOKS: Duration = Duration::from_millis(10_501);
const FOUND: u16 = 200;
const UNKNOWN: u16 = 400;
const UNREACHED: u16 = 502;
