//! longpoll: a session by requests on connections of their own, a poll that waits, and a stream of events.

use std::time::Duration;

use http::header::{ACCEPT, ORIGIN};
use http::{HeaderValue, Method};
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Ask, Client};
use super::cors;
use super::idle::{GRACE, POLLS_MAX};
use super::session::{PARKED, POLLS, QUICK_TIME, TRIES};
use crate::doctor::facts::{Answer, Cookies, Cors, Ended, Exchange, Facts, Failure, Idle, Push, Try};

/// A session, by the id that its client was told.
struct Session<'c> {
    client: &'c Client,
    sid: String,
}

/// Gathers the facts. A poll waits in silence for at most `silence`; `origin` is that of clients' pages.
///
/// # Errors
/// Says why nothing could connect.
pub(super) async fn examine(
    client: &Client,
    silence: Duration,
    origin: Option<&HeaderValue>,
    facts: &mut Facts,
) -> Result<(), String> {
    let (begun, session) = Session::begin(client, |ask| ask).await;
    if let Some(Failure::Connect(why)) = &begun.failure {
        return Err(why.clone());
    }
    facts.first = Some(begun);
    let Some(session) = session else { return Ok(()) };
    // Even if each answer comes in the last moment, there is an end.
    let end = Instant::now() + silence.max(QUICK_TIME);
    let mut rest = Facts::default();
    let asked = async {
        timeout_at(end, ask_all(&session, origin, &mut rest)).await.ok();
        session.leave().await;
    };
    let (idle, stream, ()) = tokio::join!(idle(client, silence), stream(client, silence), asked);
    (facts.idle_poll, facts.streams) = (Some(idle), vec![stream]);
    (facts.tries, facts.push, facts.cors) = (rest.tries, rest.push, rest.cors);
    Ok(())
}

/// Asks everything that is answered at once.
async fn ask_all(session: &Session<'_>, origin: Option<&HeaderValue>, facts: &mut Facts) {
    let mut after = 0;
    for _ in 0..TRIES {
        // What there is, and without waiting.
        let exchange = session.get(0, Duration::ZERO).await;
        after = exchange.whole().and_then(Answer::after).unwrap_or(after);
        facts.tries.push(Try { exchange, cookies: Cookies::None });
    }
    facts.push = Some(push(session, after).await);
    facts.cors = Some(of_elsewhere(session.client, origin).await);
}

/// Asks once more while a poll waits: the newer request replaces it, which ends it without a message.
async fn push(session: &Session<'_>, mut after: u64) -> Push {
    let client = session.client;
    let mut poll = Box::pin(session.get(after, client.patience));
    for _ in 0..POLLS {
        tokio::select! {
            // Something had come before.
            polled = &mut poll => {
                after = polled.whole().and_then(Answer::after).unwrap_or(after);
                poll = Box::pin(session.get(after, client.patience));
            }
            // The poll has arrived, before the next.
            () = sleep(PARKED) => break,
        }
    }
    let began = Instant::now();
    let answered = async {
        let polled = poll.await;
        (polled, began.elapsed())
    };
    let ((poll, waited), post) = tokio::join!(answered, session.get(after, Duration::ZERO));
    Push { poll, post, waited }
}

/// Reads a stream of events up to the comment that comes where there is no event, if `longest` is long enough for it, else up to
/// its first line.
async fn stream(client: &Client, longest: Duration) -> Exchange {
    let (begun, session) = Session::begin(client, |ask| ask).await;
    let Some(session) = session else { return begun };
    let events = HeaderValue::from_static("text/event-stream");
    let ask = session.ask(Method::GET, "after=0").with(ACCEPT, events);
    let is_long = longest >= BEAT + GRACE;
    let ask = if is_long { ask.until(COMMENT).within(BEAT + GRACE) } else { ask.until(BEGIN) };
    let read = client.ask(ask).await;
    session.leave().await;
    read
}

/// Polls and says nothing, for at most `longest`.
async fn idle(client: &Client, longest: Duration) -> Idle {
    let (begun, session) = Session::begin(client, |ask| ask).await;
    let mut idle = Idle {
        asked: begun.asked.clone(),
        interval: WAIT,
        silent: Duration::ZERO,
        ended: Ended::Unborn(begun.came()),
    };
    let Some(session) = session else { return idle };
    watch(&session, longest, &mut idle).await;
    session.leave().await;
    idle
}

async fn watch(session: &Session<'_>, longest: Duration, idle: &mut Idle) {
    let until = Instant::now() + longest;
    let mut after = 0;
    for _ in 0..POLLS_MAX {
        let left = until.saturating_duration_since(Instant::now());
        let ask = session.ask(Method::GET, &format!("after={after}&wait={}", WAIT.as_secs()));
        let exchange = session.client.ask(ask.within(left)).await;
        idle.asked.clone_from(&exchange.asked);
        idle.silent = idle.silent.max(exchange.took);
        idle.ended = match (&exchange.failure, exchange.whole().and_then(Answer::after)) {
            (Some(Failure::Late(_)), _) => Ended::Still,
            // No message: the time that it asked for is over, or what the route allows.
            (_, Some(number)) if number == after => Ended::Beat,
            (_, Some(number)) => {
                after = number;
                idle.silent = Duration::ZERO;
                continue;
            }
            (_, None) => Ended::Cut(exchange.came()),
        };
        return;
    }
    idle.ended = Ended::Unborn("the server is never silent".to_owned());
}

/// Begins a session as a page of this origin, or of one that nobody has, and asks what it would be allowed.
async fn of_elsewhere(client: &Client, origin: Option<&HeaderValue>) -> Cors {
    let value = cors::origin(origin);
    let (handshake, session) = Session::begin(client, |ask| ask.with(ORIGIN, value.clone())).await;
    if let Some(session) = session {
        session.leave().await;
    }
    cors::with_preflight(client, Ask::new(Method::OPTIONS, "", None), origin, handshake).await
}

impl<'c> Session<'c> {
    /// Begins a session, with a change of the request.
    async fn begin(client: &'c Client, change: impl FnOnce(Ask) -> Ask) -> (Exchange, Option<Self>) {
        let begun = client.ask(change(Ask::new(Method::POST, "", None))).await;
        let session = begun.whole().and_then(Answer::session).map(|sid| Self { client, sid });
        (begun, session)
    }

    /// Makes a request of the session.
    fn ask(&self, method: Method, query: &str) -> Ask {
        Ask::new(method, query, None).of(&self.sid)
    }

    /// Polls, for at most this long.
    async fn get(&self, after: u64, wait: Duration) -> Exchange {
        let ask = self.ask(Method::GET, &format!("after={after}&wait={}", wait.as_secs()));
        // The server's time is no fault of the way to it.
        self.client.ask(ask.within(self.client.patience + wait)).await
    }

    /// Ends the session.
    async fn leave(&self) {
        self.client.ask(self.ask(Method::DELETE, "")).await;
    }
}

/// What a poll asks to wait for, as clients do.
const WAIT: Duration = Duration::from_secs(25);
/// How a stream of events begins.
const BEGIN: &str = "retry: 0\n\n";
/// What shows that a stream is alive, and how often: proxies often pass on a first part, and hold back the second.
const COMMENT: &str = "\n\n:\n\n";
const BEAT: Duration = Duration::from_secs(15);
