//! The moments at which a side may disconnect: each is produced by hand, byte by byte, on both sides of the proxy.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::frames::{self, Frame, HANDSHAKE, Masked, Op, Socket};
use crate::support::http::{Client, head};
use crate::support::poller::open_packet;
use crate::support::target::Target;
use crate::support::wire::{Fill, Wire};
use crate::support::world::{POLLING, WEBSOCKET};
use crate::support::{QUIET, SOON, Script, Setup, metrics, ms};

/// The client's transport, and how it is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Front {
    /// Long-polling.
    Polling,
    /// A WebSocket that ends at the proxy.
    Socket,
    /// A WebSocket that is relayed.
    Relay,
}

/// The side that disconnects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Backend,
}

/// When it disconnects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Step {
    /// The client has connected and sent nothing.
    Connected,
    /// The client has sent half of its request's headers.
    MidRequestHead,
    /// The backend has the handshake and has not responded.
    Asked,
    /// The backend has sent half of its response's headers.
    MidResponseHead,
    /// The backend has sent its 101, and no open packet.
    Accepted,
    /// The backend has sent half of its open packet.
    MidOpenPacket,
    /// A poll is parked.
    Parked,
    /// The client has read the beginning of the long response to a poll.
    MidAnswer,
    /// The client has sent half of a POST's headers.
    MidPostHead,
    /// The client has sent half of a POST's body.
    MidPostBody,
    /// The POST is complete, and the backend has stopped reading.
    Unanswered,
    /// The second WebSocket is accepted, and has not been probed.
    Unprobed,
    /// The probe is answered, and the `5` has not come.
    Probed,
    /// The session has moved.
    Upgraded,
    /// The side that will disconnect has sent one byte of a frame.
    MidFrameHeader,
    /// The side that will disconnect has sent half of a frame's payload.
    MidPayload,
    /// A frame has passed each way.
    BetweenFrames,
    /// The side that will disconnect has sent a Close frame.
    AfterClose,
}

/// Both sides of the proxy at such a moment.
pub(crate) struct Scene {
    pub(crate) target: Target,
    /// The connection that disconnects, or that is observed, on the client's side.
    pub(crate) client: Option<Client>,
    /// The same on the backend's side, once there is one.
    pub(crate) backend: Option<Wire>,
    /// The client's other connections.
    pub(crate) others: Vec<Client>,
    /// Disconnect many descriptors the proxy had before.
    pub(crate) descriptors: usize,
    /// Disconnect many messages the client has sent in POSTs.
    pub(crate) posted: usize,
    /// Longer than every timeout of the scene, with room for a busy machine.
    pub(crate) patience: Duration,
    /// The rest of what a side has begun to send, with that side.
    rest: Option<(Side, Vec<u8>)>,
    listener: TcpListener,
    front: Front,
    open: String,
}

impl Scene {
    /// Produces the scene.
    pub(crate) fn new(front: Front, side: Side, step: Step) -> Self {
        // To fill a side's buffers takes a busy machine a while, in which no timeout may pass.
        let scale = if matches!(step, Step::MidAnswer | Step::Unanswered) { 4 } else { 1 };
        // The side that does not disconnect sends no pings or pongs here, and must not time out.
        let (client, backend) = match side {
            Side::Client => ((900 * scale, 300 * scale), (25_000, 20_000)),
            Side::Backend => ((25_000, 20_000), (600 * scale, 400 * scale)),
        };
        let mut setup = Setup::new()
            .heartbeat(client.0, client.1)
            .server(&format!("idle_timeout = \"{}ms\"", 500 * scale))
            .route(&format!("stall_timeout = \"{}ms\"", 500 * scale))
            .route("close_timeout = \"500ms\"\nupgrade_timeout = \"500ms\"")
            .upstream("handshake_timeout = \"500ms\"");
        setup.relay = front == Front::Relay;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        socket2::SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
        listener.set_nonblocking(true).unwrap();
        let target = Target::proxy(&setup, listener.local_addr().unwrap());
        // The connections that checked whether the proxy listens are gone by then.
        thread::sleep(QUIET);
        let mut scene = Self {
            descriptors: target.descriptors(),
            client: Some(Client { wire: Wire::connect_narrow(target.public) }),
            backend: None,
            others: Vec::new(),
            posted: 0,
            patience: ms(2500 * scale),
            rest: None,
            open: Script::open_packet(backend.0, backend.1, 10_000_000),
            target,
            listener,
            front,
        };
        scene.play(side, step);
        scene
    }

    fn play(&mut self, side: Side, step: Step) {
        match step {
            Step::Connected => {}
            Step::MidRequestHead => {
                let request = self.handshake();
                self.client().wire.send(&request[..request.len() / 2]);
            }
            Step::Asked => self.ask(),
            Step::MidResponseHead => {
                self.ask();
                self.hear();
                self.backend().send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web");
            }
            Step::Accepted | Step::MidOpenPacket => {
                let mut open = self.open_frame();
                let rest = open.split_off(if step == Step::Accepted { 0 } else { open.len() / 2 });
                self.accept(&open);
                self.rest = Some((Side::Backend, rest));
            }
            Step::Parked => {
                let target = self.begin();
                self.client().send_get(&target);
            }
            Step::MidAnswer => {
                let target = self.begin();
                let message = Frame::new(Op::TEXT, format!("4{}", "x".repeat(VERY_LONG))).encode(Masked::No);
                self.backend().send(&message);
                self.client().send_get(&target);
                self.client().wire.fill(Instant::now() + SOON);
                // The proxy writes what the connection takes meanwhile; nothing shows when it stops.
                thread::sleep(QUIET);
                let labels = ["direction=\"to_client\""];
                let is_taken = metrics::has_counted(self.target.admin, "polliwog_messages_total", &labels);
                assert!(!is_taken, "expected the response to fill the connection, but all of it was taken");
            }
            Step::MidPostHead | Step::MidPostBody => {
                let target = self.begin();
                let head = head("POST", &target, &[("Content-Length", "10")]);
                let sent = if step == Step::MidPostHead {
                    &head[..head.len() / 2]
                } else {
                    &*format!("{head}4half")
                };
                self.client().wire.send(sent.as_bytes());
            }
            Step::Unanswered => {
                let target = self.begin();
                let body = format!("4{}", "x".repeat(LONG));
                loop {
                    self.posted += 1;
                    self.client().send_post(&target, body.as_bytes());
                    // Far less than `stall_timeout`, and longer than a busy machine takes for a POST that need not wait.
                    match self.client().answer_within(ms(700)) {
                        Ok(answer) => answer.assert(200, "ok"),
                        Err(end) => break assert_eq!(end, Fill::Quiet, "expected the POST to wait"),
                    }
                }
            }
            Step::Unprobed | Step::Probed | Step::Upgraded => self.upgrade(step),
            Step::MidFrameHeader | Step::MidPayload | Step::BetweenFrames | Step::AfterClose => {
                self.begin();
                self.cross();
                let masked = if side == Side::Client { Masked::Yes } else { Masked::No };
                let mut bytes = Frame::new(Op::TEXT, "4a long text").encode(masked);
                if step == Step::AfterClose {
                    bytes = Frame::close(Some(1000)).encode(masked);
                } else {
                    let begun = [(Step::MidFrameHeader, 1), (Step::MidPayload, 10), (Step::BetweenFrames, 0)];
                    let (_, length) = begun.into_iter().find(|(at, _)| *at == step).expect("a frame's step");
                    self.rest = Some((side, bytes.split_off(length)));
                }
                match side {
                    Side::Client => self.client().wire.send(&bytes),
                    Side::Backend => self.backend().send(&bytes),
                }
            }
        }
        // What is under way arrives meanwhile; nothing shows when it has.
        thread::sleep(QUIET);
    }

    /// Sends the rest of what a side had begun, and fails unless it arrives; then passes a message each way.
    pub(crate) fn go_on(&mut self) {
        let (deadline, (side, rest)) =
            (Instant::now() + SOON, self.rest.take().expect("the scene has left something unsent"));
        let read = match side {
            Side::Client => {
                self.client().wire.send(&rest);
                frames::read(self.backend(), deadline)
            }
            Side::Backend => {
                self.backend().send(&rest);
                frames::read(&mut self.client().wire, deadline)
            }
        };
        assert_eq!(read.map(|frame| frame.op), Ok(Op::TEXT), "the rest of the frame arrives");
        self.cross();
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("the client is still connected")
    }

    fn backend(&mut self) -> &mut Wire {
        self.backend.as_mut().expect("the proxy has connected to the backend")
    }

    fn handshake(&self) -> Vec<u8> {
        match self.front {
            Front::Polling => head("GET", POLLING, &[]).into_bytes(),
            Front::Socket | Front::Relay => head("GET", WEBSOCKET, &HANDSHAKE).into_bytes(),
        }
    }

    /// Sends the client's handshake, and waits until the proxy connects to the backend.
    fn ask(&mut self) {
        let request = self.handshake();
        self.client().wire.send(&request);
        let deadline = Instant::now() + SOON;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                // The interval between two checks.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ms(2)),
                Err(error) => panic!("{error}"),
            }
            assert!(
                Instant::now() < deadline,
                "expected the proxy to connect to the backend, but it did not"
            );
        };
        stream.set_nonblocking(false).unwrap();
        self.backend = Some(Wire::new(stream));
    }

    /// Returns the headers of the handshake that reaches the backend.
    fn hear(&mut self) -> String {
        let head = self.backend().take_until(b"\r\n\r\n", Instant::now() + SOON);
        String::from_utf8(head.expect("the handshake reaches the backend")).unwrap()
    }

    /// Has the backend accept, and send these bytes after its 101.
    fn accept(&mut self, then: &[u8]) {
        self.ask();
        let request = self.hear();
        let key = |line: &str| line.to_lowercase().starts_with("sec-websocket-key:");
        let key = request.lines().find(|line| key(line)).expect("a key").split_once(": ").unwrap().1;
        let accept = frames::accept(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.backend().send(&[answer.as_bytes(), then].concat());
    }

    fn open_frame(&self) -> Vec<u8> {
        Frame::new(Op::TEXT, &self.open).encode(Masked::No)
    }

    /// Opens a session and returns the target of its requests.
    fn begin(&mut self) -> String {
        let open = self.open_frame();
        self.accept(&open);
        let answer = self.client().answer();
        if self.front == Front::Polling {
            let sid = open_packet(answer.text())["sid"].as_str().unwrap().to_owned();
            return format!("{POLLING}&sid={sid}");
        }
        assert_eq!(answer.status, 101);
        let open = frames::read(&mut self.client().wire, Instant::now() + SOON).expect("an open packet");
        assert!(open.payload.starts_with(b"0{"));
        WEBSOCKET.to_owned()
    }

    /// Passes a message each way.
    fn cross(&mut self) {
        let deadline = Instant::now() + SOON;
        self.client().wire.send(&Frame::new(Op::TEXT, "4up").encode(Masked::Yes));
        assert_eq!(frames::read(self.backend(), deadline).expect("the message arrives").payload, b"4up");
        self.backend().send(&Frame::new(Op::TEXT, "4down").encode(Masked::No));
        assert_eq!(
            frames::read(&mut self.client().wire, deadline).expect("the message arrives").payload,
            b"4down"
        );
    }

    fn upgrade(&mut self, step: Step) {
        let polling = self.begin();
        let target = polling.replace("transport=polling", "transport=websocket");
        let mut socket = Socket::connect(self.target.public, &target);
        if step != Step::Unprobed {
            socket.send("2probe");
            socket.assert_text("3probe");
        }
        if step == Step::Upgraded {
            socket.send("5");
            socket.send("4up");
            let up = frames::read(self.backend(), Instant::now() + SOON).expect("the message arrives");
            assert_eq!(up.payload, b"4up");
        }
        self.others.extend(self.client.replace(Client { wire: socket.wire }));
    }
}

/// More than a backend's small buffers and the proxy hold together.
pub(crate) const LONG: usize = 3_000_000;
/// More than the system buffers for a client that reads nothing (4 MB).
const VERY_LONG: usize = 3 * LONG;
