//! What happens to proxies and backend in a soak, beside the cuts: reloads, which nobody may notice, restarts and kills.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::proxies::Proxies;
use crate::random::Random;
use crate::world::World;

/// How often each of them has happened.
#[derive(Default, Debug)]
pub(crate) struct Unrest {
    pub(crate) reloads: u64,
    pub(crate) restarts: u64,
    pub(crate) kills: u64,
    pub(crate) faults: Vec<String>,
}

impl Unrest {
    /// Has one thing after another happen, for so long.
    pub(crate) async fn go_on(&mut self, proxies: &mut Proxies, world: &World, time: Duration) {
        let begun = Instant::now();
        let mut random = Random::of(&[world.schedule.seed, 11]);
        loop {
            // The time between two of them.
            sleep(Duration::from_millis(1000 + random.below(6000))).await;
            if begun.elapsed() >= time {
                return;
            }
            match random.below(4) {
                0 | 1 => {
                    let index = usize::from(random.percent(50));
                    self.reloads += 1;
                    if let Err(why) = proxies.reload(index, self.reloads).await {
                        self.faults.push(format!("reload {} of proxy {index}: {why}", self.reloads));
                    }
                }
                2 => {
                    self.restarts += 1;
                    world.disturb();
                    world.restarts.notify_waiters();
                    // Those whose handshakes were under way.
                    sleep(Duration::from_millis(100)).await;
                    world.disturb();
                }
                // The first node lives on, so that what it keeps can be measured.
                _ => {
                    self.kills += 1;
                    let index = if random.percent(50) { 1 } else { 2 };
                    world.set_down(true);
                    proxies.restart(index).await;
                    // Others notice that it is back within seconds.
                    sleep(Duration::from_secs(5)).await;
                    world.set_down(false);
                }
            }
        }
    }
}
