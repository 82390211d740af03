//! Backends behind a name whose addresses change, as a DNS server of this test says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use socket2::{Domain, Socket as RawSocket, Type};

use crate::support::http::Client;
use crate::support::poller::Poller;
use crate::support::target::{Target, free_port};
use crate::support::{SOON, eventually, metrics, ms};

/// The addresses of the name `hub.test`, and what tells them to a process: a DNS server, or, if nobody may have port 53
/// here, a file of hosts.
struct Names {
    addresses: Arc<Mutex<Vec<IpAddr>>>,
    server: Option<Ipv4Addr>,
    hosts: Mutex<Option<PathBuf>>,
}

impl Names {
    /// Returns `None` where there are no namespaces.
    fn serve(first: &[IpAddr]) -> Option<Self> {
        let allowed = Command::new("unshare")
            .args(["-rm", "true"])
            .output()
            .is_ok_and(|output| output.status.success());
        if !allowed {
            assert!(std::env::var_os("CI").is_none(), "there are namespaces in CI");
            eprintln!("not run: there are no namespaces here");
            return None;
        }
        let addresses = Arc::new(Mutex::new(first.to_vec()));
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let server = Ipv4Addr::new(127, 53, high, low.max(1));
        let socket = UdpSocket::bind((server, 53)).ok();
        if let Some(socket) = &socket {
            let (socket, addresses) = (socket.try_clone().unwrap(), Arc::clone(&addresses));
            thread::spawn(move || answer(&socket, &addresses));
        }
        Some(Self { addresses, server: socket.map(|_| server), hosts: Mutex::default() })
    }

    /// Starts a process that knows the name.
    fn start(&self, toml: impl Fn(SocketAddr, SocketAddr) -> String) -> Target {
        let (file, text) = match self.server {
            Some(server) => ("resolv.conf", format!("nameserver {server}\\noptions timeout:1\\n")),
            None => ("hosts", self.lines().replace('\n', "\\n")),
        };
        let before = format!(
            "exec unshare -rm sh -c 'printf \"{text}\" > {file}; mount --bind {file} /etc/{file}; \
             exec \"$0\" \"$@\"' \"$0\" \"$@\";"
        );
        let target = Target::proxy_in(|_| {}, &before, toml);
        *self.hosts.lock().unwrap() = Some(target.folder().join("hosts"));
        target
    }

    fn set(&self, addresses: &[IpAddr]) {
        *self.addresses.lock().unwrap() = addresses.to_vec();
        if self.server.is_none()
            && let Some(hosts) = &*self.hosts.lock().unwrap()
        {
            // In place: what is mounted is this very file.
            fs::write::<&Path, _>(hosts, self.lines()).unwrap();
        }
    }

    fn lines(&self) -> String {
        let lines: Vec<_> =
            self.addresses.lock().unwrap().iter().map(|address| format!("{address} hub.test\n")).collect();
        lines.concat()
    }
}

/// Answers every question for addresses with those of its family, and all others with none (RFC 1035, section 4.1; RFC 3596).
fn answer(socket: &UdpSocket, addresses: &Mutex<Vec<IpAddr>>) {
    let mut question = [0; 512];
    while let Ok((length, asker)) = socket.recv_from(&mut question) {
        // The header, one name of labels, and its type and class.
        let Some(end) = question[12..length].iter().position(|byte| *byte == 0).map(|zero| 12 + zero + 5)
        else {
            continue;
        };
        let asked = &question[end - 4..end];
        let of_its_family = |address: &IpAddr| match address {
            IpAddr::V4(_) => asked == [0, 1, 0, 1],
            IpAddr::V6(_) => asked == [0, 28, 0, 1],
        };
        let addresses: Vec<_> = addresses.lock().unwrap().iter().copied().filter(of_its_family).collect();
        let mut reply = question[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
        reply.extend(&question[12..end]);
        for address in addresses {
            // The same name, an address, kept for no time at all.
            reply.extend([0xC0, 12]);
            reply.extend(asked);
            match address {
                IpAddr::V4(address) => {
                    reply.extend([0, 0, 0, 0, 0, 4]);
                    reply.extend(address.octets());
                }
                IpAddr::V6(address) => {
                    reply.extend([0, 0, 0, 0, 0, 16]);
                    reply.extend(address.octets());
                }
            }
        }
        let _ = socket.send_to(&reply, asker);
    }
}

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Returns the first upstream's addresses with their states.
fn seen(admin: SocketAddr) -> Vec<(IpAddr, String)> {
    let seen = Client::connect(admin).get("/api/upstreams");
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    let one = |one: &Value| {
        let address = one["address"].as_str().unwrap().parse::<SocketAddr>().ok()?;
        Some((address.ip(), one["state"].as_str().unwrap().to_owned()))
    };
    seen["upstreams"][0]["addresses"].as_array().unwrap().iter().filter_map(one).collect()
}

fn sees(admin: SocketAddr, expected: &[(IpAddr, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(ip, state)| (*ip, (*state).to_owned())).collect();
    eventually(|| seen(admin) == expected, || format!("{expected:?}; last {:?}", seen(admin)));
}

#[test]
fn a_shared_connection_to_an_address_that_its_name_lost_ends_with_its_last_session() {
    let Some(names) = Names::serve(&[ONE]) else { return };
    let port = free_port().port();
    let hub = |ip: IpAddr| {
        Target::proxy_with(|public, admin| {
            format!(
                "[server]\nlisten = [\"{public}\", \"{ip}:{port}\"]\n[admin]\nlisten = \"{admin}\"\n\
                 [[routes]]\npath = \"/mux\"\ndialect = \"mux\"\nupstream = \"demo\"\n\
                 [upstreams.demo]\nkind = \"demo\"\nprotocol = \"websocket\"\n"
            )
        })
    };
    let (one, two) = (hub(ONE), hub(TWO));
    let edge = names.start(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/engine.io/\"\ndialect = \"engine.io\"\nupstream = \"hub\"\n\
             [upstreams.hub]\nkind = \"mux\"\nurl = \"ws://hub.test:{port}/mux\"\nresolve_interval = \"100ms\"\n"
        )
    });
    metrics::assert_readiness(edge.admin, 200);
    let mut old = Poller::handshake(edge.public);
    sees(edge.admin, &[(ONE, "up")]);
    names.set(&[TWO]);
    // The old connection is there for the old session, and a new one for new sessions.
    sees(edge.admin, &[(ONE, "draining"), (TWO, "up")]);
    let mut new = Poller::handshake(edge.public);
    assert_eq!((metrics::sessions(one.admin), metrics::sessions(two.admin)), (1, 1));
    for poller in [&mut old, &mut new] {
        poller.post_ok("4hello");
        assert_eq!(poller.poll(), "4hello");
    }
    old.post_ok("1");
    sees(edge.admin, &[(TWO, "up")]);
    new.post_ok("4hello");
    assert_eq!(new.poll(), "4hello");
}

/// A backend that says who it is, and notes the end of each connection.
fn listen(address: (IpAddr, u16)) -> std::sync::mpsc::Receiver<()> {
    let listener = TcpListener::bind(address).unwrap();
    let (ended, ends) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let ended = ended.clone();
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while let Ok(1) = stream.read(&mut byte) {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let ip = address.0.to_string();
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ip}", ip.len());
                        let _ = stream.write_all(answer.as_bytes());
                    }
                }
                let _ = ended.send(());
            });
        }
    });
    ends
}

/// Starts a proxy in front of pages at this port of the name.
fn pages(names: &Names, port: u16, more: &str) -> Target {
    names.start(|public, admin| {
        format!(
            "[server]\nlisten = \"{public}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[routes]]\npath = \"/\"\ndialect = \"http\"\nupstream = \"pages\"\n\
             [upstreams.pages]\nkind = \"http\"\nurl = \"http://hub.test:{port}/\"\n{more}\n"
        )
    })
}

#[test]
fn an_idle_connection_to_an_address_that_its_name_lost_is_not_used_again() {
    let Some(names) = Names::serve(&[ONE]) else { return };
    let port = free_port().port();
    let (ends, _other) = (listen((ONE, port)), listen((TWO, port)));
    let proxy = pages(&names, port, "resolve_interval = \"100ms\"");
    let mut client = Client::connect(proxy.public);
    assert_eq!(client.get("/").text(), ONE.to_string());
    names.set(&[TWO]);
    sees(proxy.admin, &[(TWO, "up")]);
    assert_eq!(client.get("/").text(), TWO.to_string());
    // It is closed as any that is idle.
    ends.recv_timeout(SOON * 3).unwrap();
}

#[test]
fn an_ipv6_address_that_is_silent_is_tried_first_and_costs_a_client_a_quarter_of_a_second() {
    let hole = RawSocket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    let port = free_port().port();
    let silent = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    hole.set_only_v6(true).unwrap();
    if hole.bind(&silent.into()).is_err() {
        eprintln!("not tested: there is no IPv6 here");
        return;
    }
    // Its queue is full, so that the system drops all further attempts.
    hole.listen(0).unwrap();
    let _queue: Vec<_> = (0..3).map(|_| TcpStream::connect_timeout(&silent, ms(100))).collect();
    let Some(names) = Names::serve(&[ONE, silent.ip()]) else { return };
    let _ends = listen((ONE, port));
    let proxy = pages(&names, port, "connect_timeout = \"1m\"");
    let start = Instant::now();
    Client::connect(proxy.public).get("/").assert(200, &ONE.to_string());
    let took = start.elapsed();
    assert!(took >= ms(250), "{took:?}: the other is tried first");
    assert_eq!(seen(proxy.admin).len(), 2);
}
