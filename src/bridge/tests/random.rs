//! Thousands of sessions under changing conditions: nothing is lost, duplicated or reordered, and nothing waits for
//! ever.

use super::actors::{Client, Faults, backend};
use super::dice::Dice;
use super::*;

/// The transport that the client uses.
#[derive(Clone, Copy, Debug)]
enum Transports {
    Polling,
    WebSocket,
    /// First polling, then a WebSocket.
    Both,
}

/// What has become of a session.
struct Outcome {
    /// How many messages the backend and the client were to send.
    says: (u32, u32),
    got: Vec<u32>,
    heard: Vec<u32>,
    said: u32,
    accepted: u32,
    took: Duration,
}

impl Outcome {
    /// Checks that each side has received a prefix of what the other sent, and the backend everything that was
    /// accepted.
    fn check(&self) {
        assert_eq!(self.got, first(self.got.len()), "the client");
        assert_eq!(self.heard, first(self.heard.len()), "the backend");
        assert!(self.got.len() <= self.says.0 as usize && self.heard.len() <= self.said as usize);
        assert!(self.heard.len() >= self.accepted as usize, "a POST was accepted and not heard");
    }

    /// Checks that everything was received, and that no timer was needed for it.
    fn check_whole(&self) {
        self.check();
        assert_eq!((self.got.len(), self.heard.len()), (self.says.0 as usize, self.says.1 as usize));
        assert!(self.took < SLOW, "somebody waited for a timer: {:?}", self.took);
    }
}

pub(super) fn first(count: usize) -> Vec<u32> {
    (1..=u32::try_from(count).unwrap()).collect()
}

/// Returns settings with small limits, so that they are reached, and one timeout for every wait.
pub(super) fn settings(timers: Duration, dice: &mut Dice) -> Settings {
    Settings {
        outbox_max: 600,
        batch_max: 400,
        linger: dice.up_to_ms(3),
        ping_interval: Some(timers),
        ping_timeout: Some(timers),
        stall_timeout: timers,
        upgrade_timeout: timers,
        close_timeout: timers,
        ..Settings::default()
    }
}

async fn play(
    seed: u64,
    hang_up: HangUp,
    transports: Transports,
    faults: Faults,
    timers: Duration,
) -> Outcome {
    let mut dice = Dice::new(seed);
    let mut stage = Stage::with(hang_up, settings(timers, &mut dice));
    let says = (u32::try_from(dice.below(30)).unwrap(), u32::try_from(dice.below(30)).unwrap());
    let (socket, bridge_end) = wire();
    let began = Instant::now();
    let (bridge, link, bridge_end) = match transports {
        Transports::WebSocket => {
            let (bridge, link) = stage.begin(Transport::WebSocket, Front::WebSocket(bridge_end));
            (bridge, link, None)
        }
        Transports::Polling => {
            let (bridge, link) = stage.polling();
            (bridge, link, None)
        }
        Transports::Both => {
            let (bridge, link) = stage.polling();
            (bridge, link, Some(bridge_end))
        }
    };
    stage.blow(&link, dice.split());
    if !matches!(transports, Transports::Polling) {
        stage.blow(&socket, dice.split());
    }
    let client = Client::new(Arc::clone(&bridge), faults);
    let act = async {
        let dice = dice.split();
        match (transports, bridge_end) {
            (Transports::WebSocket, _) => client.talk(&socket, says.1, dice).await,
            (_, Some(bridge_end)) => client.move_to(bridge_end, &socket, says.1, dice).await,
            (_, None) => client.poll_and_post(says.1, dice).await,
        }
    };
    let play = async { tokio::join!(backend(&link, says.0, says.1, Dice::new(seed + 1)), act).0 };
    let heard = tokio::time::timeout(PATIENCE, play).await.expect("somebody waits for ever");
    let took = began.elapsed();
    stage.clear(&bridge, PATIENCE).await;
    Outcome {
        says,
        got: client.got.take(),
        heard,
        said: client.said.get(),
        accepted: client.accepted.get(),
        took,
    }
}

/// Prints the seed when a test fails.
pub(super) struct Seed(pub(super) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the seed was {}", self.0);
        }
    }
}

pub(super) fn seeds() -> impl Iterator<Item = Seed> {
    (0..SEEDS).map(Seed)
}

#[tokio::test(start_paused = true)]
async fn a_patient_client_gets_and_says_everything() {
    for seed in seeds() {
        for transports in [Transports::Polling, Transports::WebSocket] {
            play(seed.0, HangUp::Ends, transports, Faults::default(), SLOW).await.check_whole();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_moves_gets_and_says_everything() {
    for seed in seeds() {
        play(seed.0, HangUp::Ends, Transports::Both, Faults::default(), SLOW).await.check_whole();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_barges_in_gets_and_says_everything() {
    let faults = Faults { overlaps: 100, ..Faults::default() };
    for seed in seeds() {
        play(seed.0, HangUp::Ends, Transports::Both, faults, SLOW).await.check_whole();
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_node_is_gone_costs_nothing() {
    let faults = Faults { withdraws: 40, ..Faults::default() };
    for seed in seeds() {
        play(seed.0, HangUp::Ends, Transports::Polling, faults, SLOW).await.check_whole();
        play(seed.0, HangUp::Ends, Transports::Both, faults, SLOW).await.check_whole();
    }
}

#[tokio::test(start_paused = true)]
async fn impatience_costs_nothing_where_batches_come_home() {
    let faults = Faults { hangs_up: 40, loses: 30, ..Faults::default() };
    for seed in seeds() {
        play(seed.0, HangUp::Returns, Transports::Polling, faults, SLOW).await.check_whole();
        let faults = Faults { overlaps: 50, ..faults };
        play(seed.0, HangUp::Returns, Transports::Both, faults, SLOW).await.check_whole();
    }
}

#[tokio::test(start_paused = true)]
async fn impatience_ends_the_session_elsewhere() {
    let faults = Faults { hangs_up: 5, loses: 5, aborts: 3, gives_up: 5, overlaps: 50, withdraws: 5 };
    for seed in seeds() {
        for transports in [Transports::Polling, Transports::Both] {
            play(seed.0, HangUp::Ends, transports, faults, QUICK).await.check();
        }
    }
}

const SEEDS: u64 = 200;
/// Timeouts that no session may need.
pub(super) const SLOW: Duration = Duration::from_secs(20);
/// Timeouts that end a session whose client has given up.
const QUICK: Duration = Duration::from_millis(200);
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
