//! The keys by which tokens are judged: where they come from, as they change, and while nobody has them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

use super::{HOUR, Issuer, Jwks, WAYS, begin, start};
use crate::auth::{Plain, application};
use crate::support::http::Response;
use crate::support::poller::POLLING;
use crate::support::{SOON, World};
use crate::tls::authority::Authority;

/// A server of keys, which may be down: then it accepts and hangs up.
struct KeyServer {
    addr: SocketAddr,
    said: Arc<Mutex<Said>>,
}

struct Said {
    jwks: String,
    is_up: bool,
    asked: u32,
}

impl KeyServer {
    fn start(jwks: String) -> Self {
        Self::start_over(jwks, |stream| stream)
    }

    /// Serves over what `wrap` makes of each connection.
    fn start_over<S: Read + Write>(jwks: String, wrap: impl Fn(TcpStream) -> S + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Said { jwks, is_up: true, asked: 0 }));
        let says = Arc::clone(&said);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mut stream, Said { jwks, is_up, asked }) = (wrap(stream), &mut *says.lock().unwrap());
                *asked += 1;
                if *is_up {
                    let _ = stream.read(&mut [0; 4096]);
                    let len = jwks.len();
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{jwks}"
                    );
                    let _ = stream.flush();
                }
            }
        });
        Self { addr, said }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}/jwks.json", self.addr)
    }
}

/// Begins a session with a token of this issuer.
fn enter(world: &World, issuer: &Issuer) -> Response {
    begin(world, "polling", "", &[("Authorization", &format!("Bearer {}", issuer.issue(HOUR)))])
}

#[test]
fn without_keys_clients_are_told_to_come_back_and_known_keys_outlive_their_server() {
    let (issuer, app) = (Issuer::new(), Plain::serve(application));
    let server = KeyServer::start(issuer.jwks());
    server.said().is_up = false;
    let world = start(&server.url(), "", app.addr);
    let bearer = format!("Bearer {}", issuer.issue(HOUR));
    let headers = [("Authorization", &*bearer)];
    for way in WAYS {
        let refused = begin(&world, way, "", &headers);
        refused.assert(503, "authorization is not available\n");
        assert_eq!(refused.header("retry-after"), Some("5"), "{way}");
    }
    let asked = server.said().asked;
    assert!(asked < 5 * 8, "each route asks once in a second: {asked}");
    server.said().is_up = true;
    let until = Instant::now() + SOON * 3;
    for way in WAYS {
        loop {
            let begun = begin(&world, way, "", &headers);
            if begun.status != 503 {
                assert!([200, 201, 101].contains(&begun.status), "{way}: {begun:?}");
                break;
            }
            assert!(Instant::now() < until, "{way}: the keys are never read");
            // The proxy asks again a second after it was in vain.
            thread::sleep(Duration::from_millis(50));
        }
    }
    server.said().is_up = false;
    assert_eq!(begin(&world, "polling", "", &headers).status, 200);
    let forged = format!("Bearer {}", Issuer::new().issue(HOUR));
    let refused = begin(&world, "polling", "", &[("Authorization", &*forged)]);
    refused.assert(401, "the token's signature is wrong\n");
    assert_eq!(begin(&world, "polling", "", &headers).status, 200);
    let log = world.log();
    assert!(log.contains("the keys for tokens were not read"), "{log}");
    assert!(log.contains("no keys for tokens"), "{log}");
}

#[test]
fn a_key_that_a_server_has_exchanged_is_known_within_seconds() {
    let (old, new, app) = (Issuer::named("old"), Issuer::named("new"), Plain::serve(application));
    let server = KeyServer::start(old.jwks());
    let world = start(&server.url(), "", app.addr);
    assert_eq!(enter(&world, &old).status, 200);
    enter(&world, &new).assert(401, "the token's key is unknown\n");
    server.said().jwks = new.jwks();
    // They are read again ten seconds after they were read.
    let until = Instant::now() + Duration::from_secs(10) + SOON;
    while enter(&world, &new).status != 200 {
        assert!(Instant::now() < until, "the new key is never read");
        // The interval between two clients.
        thread::sleep(Duration::from_millis(200));
    }
    enter(&world, &old).assert(401, "the token's key is unknown\n");
    let asked = server.said().asked;
    assert!(asked <= 2 * 6, "each route asks once in ten seconds, whatever clients bring: {asked}");
}

#[test]
fn keys_are_read_by_tls_only_from_the_right_server() {
    let (issuer, app, authority) = (Issuer::new(), Plain::serve(application), Authority::new());
    let start = |config: Arc<rustls::ServerConfig>| {
        let server = KeyServer::start_over(issuer.jwks(), move |stream| {
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
        });
        let url = format!("https://localhost:{}/jwks.json", server.addr.port());
        start(&url, &format!(", tls = {{ ca = {:?} }}", authority.file), app.addr)
    };
    let world = start(authority.server("localhost"));
    assert_eq!(enter(&world, &issuer).status, 200);
    for (config, reason) in [
        (authority.server("other.test"), "its certificate has another name"),
        (Authority::new().server("localhost"), "its certificate was not issued by a trusted authority"),
    ] {
        let world = start(config);
        enter(&world, &issuer).assert(503, "authorization is not available\n");
        assert!(world.log().contains(reason), "{reason}: {}", world.log());
    }
}

#[test]
fn a_reload_judges_by_other_keys_and_leaves_those_who_are_there() {
    let (old, new, app) = (Issuer::new(), Issuer::new(), Plain::serve(application));
    let (before, after) = (Jwks::of(&old), Jwks::of(&new));
    let world = start(before.0.to_str().unwrap(), "", app.addr);
    let open = enter(&world, &old);
    let peer = world.accept();
    world.change(before.0.to_str().unwrap(), after.0.to_str().unwrap());
    enter(&world, &old).assert(401, "the token's signature is wrong\n");
    assert_eq!(enter(&world, &new).status, 200);
    let target = format!("{POLLING}&sid={}", open.text().split('"').nth(3).expect("an open packet"));
    world.http().post(&target, "4here").assert(200, "ok");
    peer.assert_text("here");
    // The same keys, and another rule.
    world.change("audience = \"chat\"", "audience = \"feed\"");
    enter(&world, &new).assert(401, "the token has another audience\n");
    let set = format!("jwks = {:?}", after.0);
    world.change(&set, &set.replace("jwks = ", "from = \"query:t\", jwks = "));
    enter(&world, &new).assert(401, "a token is required\n");
}
