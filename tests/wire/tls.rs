//! Every way in which TLS to the backend can fail: the client's response, the reason in the log, and whether the proxy
//! reports that it is ready.

#[path = "../../src/upstream/tests/tls/authority.rs"]
#[expect(dead_code, reason = "the tests of the upstream use the rest")]
pub(crate) mod authority;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::date_time_ymd;
use rustls::{DEFAULT_VERSIONS, ServerConfig, ServerConnection};

use self::authority::{Authority, good};
use crate::support::frames::Socket;
use crate::support::world::{Excluded, POLLING, WEBSOCKET};
use crate::support::{Setup, World, metrics};

/// What listens at the upstream's URL.
#[derive(Clone)]
enum Backend {
    Tls(Arc<ServerConfig>),
    Plain,
    Silent,
}

use Backend::{Plain, Silent, Tls};

const DOWN: (u16, &str) = (502, "the upstream is down\n");
const SLOW: (u16, &str) = (504, "the upstream timed out\n");
const PROTOCOL: (u16, &str) = (502, "the upstream violated its protocol\n");

#[test]
fn each_failure_is_reported_and_logged_with_its_reason() {
    let authority = Authority::new();
    let mut old = good("localhost");
    (old.not_before, old.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let expired = authority.server_of(&old, DEFAULT_VERSIONS);
    let unknown = Authority::new().server("localhost");
    // A backend that was reached is not down, even if it speaks something else.
    let rows = [
        ("wss", Tls(authority.server("other.test")), DOWN, "its certificate has another name", 503),
        ("wss", Tls(unknown), DOWN, "its certificate was not issued by a trusted authority", 503),
        ("wss", Tls(expired), DOWN, "its certificate has expired", 503),
        ("wss", Plain, DOWN, "it does not speak TLS", 503),
        ("ws", Tls(authority.server("localhost")), PROTOCOL, "its answer is not HTTP", 200),
        ("wss", Silent, SLOW, "the upstream did not answer within 300 ms", 503),
    ];
    for (scheme, backend, (status, told), reason, ready) in rows {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("{scheme}://localhost:{}/engine.io/", listener.local_addr().unwrap().port());
        thread::spawn(move || serve(&listener, &backend));
        for by_socket in [false, true] {
            let mut setup = Setup::new().relayed().url(&url);
            if scheme == "wss" {
                setup = setup.upstream(&format!("tls = {{ ca = {:?} }}", authority.file));
            }
            if status == 504 {
                setup = setup.upstream("connect_timeout = \"300ms\"");
            }
            let Some(world) = World::proxy_only(setup, Excluded::OnlyAProxyHasThis) else { return };
            let answer = if by_socket {
                Socket::try_connect(world.addr, WEBSOCKET, &[]).expect_err("there is no backend")
            } else {
                world.get(POLLING)
            };
            assert_eq!((answer.status, answer.text()), (status, told), "{reason}");
            let log = world.target.log();
            assert!(log.lines().any(|line| line.contains(" WARN ") && line.contains(reason)), "{log}");
            assert_eq!(metrics::readyz(world.target.admin).status, ready, "{reason}");
            world.assert_sessions(0);
        }
    }
}

/// Serves until the test's process ends.
fn serve(listener: &TcpListener, backend: &Backend) {
    let mut silent = Vec::new();
    for stream in listener.incoming().flatten() {
        match backend {
            Tls(config) => shake(stream, config),
            Plain => refuse(stream),
            Silent => silent.push(stream),
        }
    }
}

/// Plays the server in a handshake that fails.
fn shake(mut stream: TcpStream, config: &Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    // The alert, if any, has been sent by then.
    let _ = tls.complete_io(&mut stream);
    finish(stream);
}

/// Responds as a web server that takes a TLS handshake for a request.
fn refuse(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    finish(stream);
}

/// Closes without a reset, which could overtake the last bytes.
fn finish(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}
