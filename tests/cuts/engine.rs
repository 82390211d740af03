//! A client of Engine.IO as the stock one behaves: it polls, may upgrade, and is over when one of its requests breaks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::client::open_socket;
use crate::frames::{self, TEXT};
use crate::http::{Http, STUCK};
use crate::plan::Kind;
use crate::random::Random;
use crate::session::{End, Session, Way};
use crate::socket::{Coding, Side, converse, pace};
use crate::wire::Wire;
use crate::world::World;

/// How the client was told of the session's end.
type Told = &'static str;

pub(crate) async fn run(world: &World, session: &Session) -> Told {
    match session.plan.kind {
        Kind::EngineWebSocket(version) => {
            let target =
                format!("{}?EIO={version}&transport=websocket&k={}", session.plan.path(), session.id);
            open_socket(world, session, &target, Coding::Engine(version)).await
        }
        Kind::EnginePolling(version) => poll(world, session, version, false).await,
        Kind::EngineUpgrade(version) => poll(world, session, version, true).await,
        Kind::SockJsPolling
        | Kind::SockJsStreaming
        | Kind::SockJsEventSource
        | Kind::SockJsWebSocket
        | Kind::LongPoll
        | Kind::LongPollLines
        | Kind::LongPollEvents
        | Kind::WebSocket => unreachable!("it is another dialect's"),
    }
}

async fn poll(world: &World, session: &Session, version: u8, upgrades: bool) -> Told {
    let mut get = Http::new(world, session, 0);
    let path = session.plan.path();
    let target = format!("{path}?EIO={version}&transport=polling&k={}", session.id);
    let Ok(open) = get.ask("GET", &target, "", None).await else { return "the handshake broke" };
    let body = String::from_utf8_lossy(&open.body).into_owned();
    let Some(sid) = body.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()) else {
        return "the handshake was refused";
    };
    session.client_begins();
    let polling = Polling {
        world,
        session,
        version,
        target: format!("{path}?EIO={version}&transport=polling&sid={sid}"),
        pongs: Mutex::default(),
        is_paused: AtomicBool::new(false),
    };
    // What came with the open packet.
    for packet in polling.split(&body) {
        if !packet.starts_with('0')
            && let Err(told) = polling.take(packet)
        {
            return told;
        }
    }
    let candidate = async { Ok::<_, Told>(if upgrades { polling.probe(sid).await } else { None }) };
    match tokio::try_join!(polling.receive(&mut get), polling.send(), candidate) {
        Err(told) => told,
        Ok(((), (), None)) => "it was paused for nothing",
        Ok(((), (), Some(mut wire))) => {
            let mut upgrade = Vec::new();
            frames::encode(&mut upgrade, TEXT, b"5", true);
            // A ping of the last poll is answered on the new transport.
            for pong in polling.take_pongs() {
                frames::encode(&mut upgrade, TEXT, pong.as_bytes(), true);
            }
            // Whether that arrives is not known, if it breaks: as in the stock client, the session is over.
            let written = wire.write(&upgrade).await;
            let (wire, told) = match written {
                Ok(()) => converse(session, wire, Coding::Engine(version), Side::Client).await,
                Err(_) => (wire, "the upgrade broke"),
            };
            if wire.was_cut {
                session.client_was_cut.store(true, Ordering::Relaxed);
            }
            told
        }
    }
}

/// A session's polling, which may end in an upgrade.
struct Polling<'a> {
    world: &'a World,
    session: &'a Session,
    version: u8,
    target: String,
    pongs: Mutex<Vec<String>>,
    is_paused: AtomicBool,
}

impl Polling<'_> {
    fn split<'b>(&self, body: &'b str) -> Vec<&'b str> {
        if self.version == 4 {
            return body.split('\u{1e}').collect();
        }
        let (mut packets, mut rest) = (Vec::new(), body);
        while let Some((length, behind)) = rest.split_once(':') {
            let (mut units, mut end) = (length.parse().unwrap_or(0_usize), 0);
            for character in behind.chars() {
                if units == 0 {
                    break;
                }
                units = units.saturating_sub(character.len_utf16());
                end += character.len_utf8();
            }
            packets.push(&behind[..end]);
            rest = &behind[end..];
        }
        if !rest.is_empty() {
            self.session
                .fault(format!("behind the packets: {:?}", rest.chars().take(20).collect::<String>()));
        }
        packets
    }

    fn join(&self, packets: &[String]) -> String {
        if self.version == 4 {
            return packets.join("\u{1e}");
        }
        packets
            .iter()
            .fold(String::new(), |body, packet| body + &format!("{}:{packet}", packet.encode_utf16().count()))
    }

    fn take_pongs(&self) -> Vec<String> {
        std::mem::take(&mut *self.pongs.lock().expect("nobody panics with it"))
    }

    fn take(&self, packet: &str) -> Result<(), Told> {
        match packet.as_bytes().first() {
            Some(b'4') => self.session.receive(Way::Down, &packet[1..]),
            Some(b'2') => self.pongs.lock().expect("nobody panics with it").push("3".to_owned()),
            Some(b'1') => return Err("a close packet"),
            Some(b'3' | b'6') => {}
            Some(_) | None => self.session.fault(format!("an unknown packet: {packet:?}")),
        }
        Ok(())
    }

    async fn receive(&self, get: &mut Http<'_>) -> Result<(), Told> {
        while !self.is_paused.load(Ordering::Relaxed) {
            let response = get.ask("GET", &self.target, "", None).await.map_err(|_| "a poll broke")?;
            if response.status != 200 {
                return Err(refused(response.status));
            }
            let body = String::from_utf8(response.body).map_err(|_| "a poll is not UTF-8")?;
            for packet in self.split(&body) {
                self.take(packet)?;
            }
        }
        Ok(())
    }

    async fn send(&self) -> Result<(), Told> {
        let Self { world, session, .. } = *self;
        let mut random = Random::of(&[session.id, 2]);
        let (mut post, begun, mut pinged) = (Http::new(world, session, 1), Instant::now(), Instant::now());
        while !self.is_paused.load(Ordering::Relaxed) {
            let (pause, most) = pace(&mut random);
            // The pace of this client.
            sleep(pause).await;
            let mut packets = self.take_pongs();
            let texts = session.next(Way::Up, most);
            packets.extend(texts.into_iter().map(|text| format!("4{text}")));
            if self.version == 3 && pinged.elapsed() > Duration::from_secs(8) {
                pinged = Instant::now();
                packets.push("2".to_owned());
            }
            let closes = Side::Client.closes(session);
            if closes {
                packets.push("1".to_owned());
            }
            if !packets.is_empty() {
                let until = session.sent(Way::Up);
                let response = post.ask("POST", &self.target, "", Some(&self.join(&packets))).await;
                match response.map_err(|_| "a POST broke")?.status {
                    200 => session.acknowledge(Way::Up, until),
                    status => return Err(refused(status)),
                }
            }
            if closes {
                return Err("its own close packet");
            }
            if begun.elapsed() > STUCK * 2 {
                session.fault("it is stuck in polling".to_owned());
                return Err("nothing");
            }
        }
        Ok(())
    }

    /// Opens a WebSocket and probes it. Until it has answered, polling goes on, whatever becomes of it.
    async fn probe(&self, sid: &str) -> Option<Wire> {
        let mut random = Random::of(&[self.session.id, 3]);
        // A client upgrades at any time.
        sleep(Duration::from_millis(random.spread(10))).await;
        let target =
            format!("{}?EIO={}&transport=websocket&sid={sid}", self.session.plan.path(), self.version);
        let attempt = async {
            let mut wire = Http::new(self.world, self.session, 2).connect().await.ok()?;
            wire.write(crate::client::upgrade(&target).as_bytes()).await.ok()?;
            let head = wire.until(b"\r\n\r\n").await.ok()?;
            if !head.starts_with(b"HTTP/1.1 101") {
                return None;
            }
            let mut probe = Vec::new();
            frames::encode(&mut probe, TEXT, b"2probe", true);
            wire.write(&probe).await.ok()?;
            loop {
                if let Some((_, payload)) = frames::decode(&mut wire.buffer) {
                    return (payload == b"3probe").then_some(wire);
                }
                wire.fill().await.ok()?;
            }
        };
        let wire = timeout(STUCK, attempt).await.ok().flatten();
        self.is_paused.store(wire.is_some(), Ordering::Relaxed);
        wire
    }
}

fn refused(status: u16) -> Told {
    match status {
        400 => "400",
        404 => "404",
        500..600 => "a status in the 500s",
        _ => "another status",
    }
}

impl Session {
    /// Notes that the client's handshake was answered.
    pub(crate) fn client_begins(&self) {
        self.client_is(End::Open);
        self.begun.store(true, Ordering::Relaxed);
    }
}
