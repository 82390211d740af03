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
pub(crate) enum Who {
    Client,
    Backend,
}

/// When it disconnects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Step {
    /// The client has connected and sent nothing.
    Connected,
    /// The client has sent half of its request's head.
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
    /// The client has sent half of a POST's head.
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
    /// The side that will hang up has sent one byte of a frame.
    MidFrameHeader,
    /// The side that will hang up has sent half of a frame's payload.
    MidPayload,
    /// A frame has crossed each way.
    BetweenFrames,
    /// The side that will hang up has sent a Close frame.
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
    /// How many descriptors the proxy had before.
    pub(crate) descriptors: usize,
    /// How many messages the client has sent in POSTs.
    pub(crate) posted: usize,
    /// The rest of what a side has begun to send.
    rest: Option<(Who, Vec<u8>)>,
    listener: TcpListener,
    front: Front,
    open: String,
}

impl Scene {
    /// Produces the scene.
    pub(crate) fn new(front: Front, who: Who, step: Step) -> Self {
        // The side that does not hang up never pings nor pongs here, and so must not be taken for dead.
        let (client, backend) = match who {
            Who::Client => ((900, 300), (25_000, 20_000)),
            Who::Backend => ((25_000, 20_000), (600, 400)),
        };
        let mut setup = Setup::new()
            .heartbeat(client.0, client.1)
            .server("idle_timeout = \"500ms\"")
            .route("stall_timeout = \"500ms\"\nclose_timeout = \"500ms\"\nupgrade_timeout = \"500ms\"")
            .upstream("handshake_timeout = \"500ms\"");
        setup.relay = front == Front::Relay;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        socket2::SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
        listener.set_nonblocking(true).unwrap();
        let target = Target::proxy(&setup, listener.local_addr().unwrap());
        // The connections by which it was found to listen are gone soon.
        thread::sleep(QUIET);
        let mut scene = Self {
            descriptors: target.descriptors(),
            client: Some(Client { wire: Wire::connect_narrow(target.public) }),
            backend: None,
            others: Vec::new(),
            posted: 0,
            rest: None,
            open: Script::open_packet(backend.0, backend.1, 10_000_000),
            target,
            listener,
            front,
        };
        scene.play(who, step);
        scene
    }

    fn play(&mut self, who: Who, step: Step) {
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
                self.rest = Some((Who::Backend, rest));
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
                // The proxy writes what the connection takes meanwhile; that it stops shows nowhere.
                thread::sleep(QUIET);
                let labels = ["direction=\"to_client\""];
                let is_taken = metrics::has_counted(self.target.admin, "polliwog_messages_total", &labels);
                assert!(!is_taken, "its connection has not taken all of it");
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
                    match self.client().answer_within(ms(300)) {
                        Ok(answer) => answer.assert(200, "ok"),
                        Err(end) => break assert_eq!(end, Fill::Quiet, "the POST waits"),
                    }
                }
            }
            Step::Unprobed | Step::Probed | Step::Upgraded => self.upgrade(step),
            Step::MidFrameHeader | Step::MidPayload | Step::BetweenFrames | Step::AfterClose => {
                self.begin();
                self.cross();
                let masked = if who == Who::Client { Masked::Yes } else { Masked::No };
                let mut bytes = Frame::new(Op::TEXT, "4a long text").encode(masked);
                if step == Step::AfterClose {
                    bytes = Frame::close(Some(1000)).encode(masked);
                } else {
                    let begun = [(Step::MidFrameHeader, 1), (Step::MidPayload, 10), (Step::BetweenFrames, 0)];
                    let (_, length) = begun.into_iter().find(|(at, _)| *at == step).expect("a frame's step");
                    self.rest = Some((who, bytes.split_off(length)));
                }
                match who {
                    Who::Client => self.client().wire.send(&bytes),
                    Who::Backend => self.backend().send(&bytes),
                }
            }
        }
        // Whatever is under way has arrived by then.
        thread::sleep(QUIET);
        if step == Step::Unanswered {
            assert_eq!(self.client().wire.fill(Instant::now()), Fill::Quiet, "the POST still waits");
        }
    }

    /// A side that had sent half of something sends the rest, and it arrives; then a message each way does.
    pub(crate) fn go_on(&mut self) {
        let (deadline, (who, rest)) =
            (Instant::now() + SOON, self.rest.take().expect("something is left to say"));
        let read = match who {
            Who::Client => {
                self.client().wire.send(&rest);
                frames::read(self.backend(), deadline)
            }
            Who::Backend => {
                self.backend().send(&rest);
                frames::read(&mut self.client().wire, deadline)
            }
        };
        assert_eq!(read.map(|frame| frame.op), Ok(Op::TEXT), "what was begun arrives");
        self.cross();
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("the client has not hung up")
    }

    fn backend(&mut self) -> &mut Wire {
        self.backend.as_mut().expect("the backend has been reached")
    }

    fn handshake(&self) -> Vec<u8> {
        match self.front {
            Front::Polling => head("GET", POLLING, &[]).into_bytes(),
            Front::Socket | Front::Relay => head("GET", WEBSOCKET, &HANDSHAKE).into_bytes(),
        }
    }

    /// The client asks, and the backend has heard it.
    fn ask(&mut self) {
        let request = self.handshake();
        self.client().wire.send(&request);
        let deadline = Instant::now() + SOON;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                // The pace of the looks.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ms(2)),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "nobody reaches the backend");
        };
        stream.set_nonblocking(false).unwrap();
        self.backend = Some(Wire::new(stream));
    }

    /// Answers what the backend is asked.
    fn hear(&mut self) -> String {
        let head = self.backend().take_until(b"\r\n\r\n", Instant::now() + SOON);
        String::from_utf8(head.expect("a request comes")).unwrap()
    }

    /// The backend accepts, and says this behind its 101.
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
        assert_eq!(frames::read(self.backend(), deadline).expect("it crosses").payload, b"4up");
        self.backend().send(&Frame::new(Op::TEXT, "4down").encode(Masked::No));
        assert_eq!(frames::read(&mut self.client().wire, deadline).expect("it crosses").payload, b"4down");
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
            let up = frames::read(self.backend(), Instant::now() + SOON).expect("it crosses");
            assert_eq!(up.payload, b"4up");
        }
        self.others.extend(self.client.replace(Client { wire: socket.wire }));
    }
}

/// More than a backend's small buffers and the proxy's take between them.
pub(crate) const LONG: usize = 3_000_000;
/// More than the system takes for a client that reads nothing (4 MB).
const VERY_LONG: usize = 3 * LONG;
/// Longer than every time limit of a scene, and what a busy machine adds.
pub(crate) const LONGER: Duration = ms(2500);
