//! The backend of all sessions: a plain WebSocket server, and an Engine.IO server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::frames::{self, TEXT};
use crate::http::STUCK;
use crate::schedule::Hop;
use crate::session::{End, Session};
use crate::socket::{Coding, Side, converse};
use crate::wire::{Broken, Wire};
use crate::world::World;

/// Listens, and returns the address.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    (listener, address)
}

/// Serves each connection in a task of its own.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _ = accept(stream, &world).await;
        });
    }
}

async fn accept(stream: TcpStream, world: &World) -> Result<(), Broken> {
    let mut wire = Wire::new(stream, &world.schedule);
    let head = timeout(STUCK, wire.until(b"\r\n\r\n")).await.map_err(|_| Broken)??;
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let id = parameter(target, "k").and_then(|id| id.parse().ok());
    // The session is over and judged if its handshake was given up long ago.
    let Some(session) = id.and_then(|id| world.session(id)) else { return Ok(()) };
    let key = head
        .lines()
        .find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        })
        .map_or("", |(_, key)| key.trim());
    let connection = session.connections.fetch_add(1, Ordering::Relaxed);
    let odds = World::odds(Hop::Backend, session.plan.kind);
    wire.cut_at(Hop::Backend, world.schedule.cut(Hop::Backend, session.id, connection, odds));
    if session.backend() != End::Unborn && !begins_again(&session).await {
        session.fault("a second session at the backend".to_owned());
        return Ok(());
    }
    let result = greet(&session, &mut wire, target, key).await;
    if wire.was_cut {
        session.backend_was_cut.store(true, Ordering::Relaxed);
    }
    // A handshake that nobody answers may be repeated.
    let coding = result?;
    session.backend_is(End::Open);
    let told = tokio::select! {
        (wire, told) = converse(&session, wire, coding, Side::Backend) => {
            if wire.was_cut {
                session.backend_was_cut.store(true, Ordering::Relaxed);
            }
            told
        }
        () = world.restarts.notified() => {
            session.is_disturbed.store(true, Ordering::Relaxed);
            "it was restarted itself"
        }
    };
    session.backend_is(End::Told(told));
    Ok(())
}

/// Returns whether a session that the backend has had is begun again, which may be once its first connection has ended.
async fn begins_again(session: &Session) -> bool {
    let over = async {
        while session.backend() == End::Open {
            // The interval between two looks: its task may be about to see the end.
            sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(Duration::from_secs(5), over).await;
    session.begins_again()
}

/// Answers the handshake; an Engine.IO server greets its client, too.
async fn greet(session: &Session, wire: &mut Wire, target: &str, key: &str) -> Result<Coding, Broken> {
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    let mut coding = Coding::Plain;
    if target.starts_with("/engine.io/") {
        let version = if target.contains("EIO=3") { 3 } else { 4 };
        coding = Coding::Engine(version);
        let open = format!(
            "0{{\"sid\":\"b{}\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":60000,\"maxPayload\":1000000}}",
            session.id
        );
        frames::encode(&mut answer, TEXT, open.as_bytes(), false);
    }
    wire.write(&answer).await?;
    Ok(coding)
}

fn parameter<'t>(target: &'t str, name: &str) -> Option<&'t str> {
    target.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
