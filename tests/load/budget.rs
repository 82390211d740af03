//! One budget of memory for all buffers: a tenth of 2,000 clients read nothing while their backends send all they can.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::support::Proxy;

/// A client that reads nothing: what keeps its connection.
type Silent = TcpStream;
/// A client that reads.
type Socket = WebSocketStream<TcpStream>;

#[test]
fn those_that_read_nothing_take_no_memory_of_the_others() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let runtime = Runtime::new().unwrap();
    let (floods, flooding) = watch::channel(false);
    let (echo, flood) = (runtime.block_on(echoes()), runtime.block_on(flooder(flooding)));
    let ([front, hub], [calm, _calm_hub]) = (pair(echo, flood), pair(echo, flood));
    runtime.block_on(async {
        let (mut readers, silent, others) = tokio::join!(
            readers(front.address, SESSIONS - SILENT),
            silent(front.address),
            readers(calm.address, COMPARED)
        );
        front.wait_for("polliwog_sessions{", "", f64::from(SESSIONS));
        let proxies = [&front, &hub];
        exchange(&mut readers, || {}).await;
        // The idle figure: what sessions that have been in use take when nothing waits.
        let idle = proxies.map(Proxy::resident);

        floods.send_replace(true);
        settle(&front).await;
        let before = idle.map(|kb| kb * 1024 + u64::from(MEMORY_MAX) / 4 * 5);
        let looks = AtomicUsize::new(0);
        exchange(&mut readers, || {
            looks.fetch_add(1, Ordering::Relaxed);
            for (proxy, most) in proxies.iter().zip(before) {
                check(proxy, most);
            }
        })
        .await;
        assert!(looks.into_inner() > 10, "nobody looked");
        // In this order: one that ends in between counts twice.
        let left = front.metric("polliwog_sessions{", "");
        let ended_at = |proxy: &Proxy| proxy.metric("polliwog_sessions_closed_total", "reason=\"memory\"");
        let ended = ended_at(&front) + ended_at(&hub);
        assert!(left + ended >= f64::from(SESSIONS), "{left} are left, {ended} have ended: {}", front.log());
        assert!(ended <= f64::from(SILENT), "{ended} sessions have ended");
        readers.truncate(COMPARED as usize);
        let (mut sets, mut rounds) = ([readers, others], Vec::new());
        // Both at once, so that what else the machine does slows down both; and again where it does too much.
        let is_kept = |[here, there]: &[u32; 2]| here * 10 >= there * 8;
        while rounds.len() < ROUNDS && !rounds.last().is_some_and(is_kept) {
            rounds.push(echoed(&mut sets).await);
        }
        assert!(
            rounds.last().is_some_and(is_kept),
            "messages beside the floods, and without them: {rounds:?}"
        );
        drop(silent);
    });
}

/// Starts a proxy, and the one behind its shared connections.
fn pair(echo: SocketAddr, flood: SocketAddr) -> [Proxy; 2] {
    // The far end of shared connections, where the sessions' clients are another proxy's.
    let hub = Proxy::start_tidy(
        "[[routes]]\npath = '/echo/'\ndialect = 'mux'\nupstream = 'b'\n\
         [[routes]]\npath = '/flood/'\ndialect = 'mux'\nupstream = 'f'\n",
        &format!("kind = 'websocket'\nurl = 'ws://{echo}/'\n{}", upstream("f", "websocket", flood, "")),
        LIMITS,
    );
    let route = |path: &str, dialect: &str, upstream: &str| {
        format!(
            "[[routes]]\npath = '/{path}/'\ndialect = '{dialect}'\nupstream = '{upstream}'\nping_interval = '10m'\nrelay = false\n"
        )
    };
    let routes = [
        route("echo", "websocket", "b"),
        route("echo-mux", "websocket", "mb"),
        route("socket", "websocket", "f"),
        route("socket-mux", "websocket", "mf"),
        route("polling", "engine.io", "f"),
        route("polling-mux", "engine.io", "mf"),
        // Its stream ends after 128 KiB, and its client never comes back.
        route("stream", "sockjs", "f").replace("ping_interval", "disconnect_delay"),
    ];
    let others = [
        upstream("f", "websocket", flood, ""),
        upstream("mb", "mux", hub.address, "echo/"),
        upstream("mf", "mux", hub.address, "flood/"),
    ];
    let front = Proxy::start_tidy(
        &routes.concat(),
        &format!("kind = 'websocket'\nurl = 'ws://{echo}/'\n{}", others.concat()),
        LIMITS,
    );
    [front, hub]
}

/// Has the clients of two proxies send a message in each interval, if the one before has come back. Returns how many have.
async fn echoed(sets: &mut [Vec<Socket>; 2]) -> [u32; 2] {
    let (mut talking, begun) = (JoinSet::new(), Instant::now());
    let sockets = sets.iter_mut().enumerate().flat_map(|(set, all)| all.drain(..).map(move |one| (set, one)));
    for (set, mut socket) in sockets {
        talking.spawn(async move {
            let (mut ticks, mut count) = (interval(PACE), 0);
            // Those that are late are left out.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while begun.elapsed() < COMPARED_FOR {
                ticks.tick().await;
                socket.send(Message::text("x".repeat(200))).await.unwrap();
                timeout(PATIENCE, socket.next()).await.expect("no echo came").unwrap().unwrap();
                count += 1;
            }
            (set, socket, count)
        });
    }
    let mut counts = [0; 2];
    while let Some(done) = talking.join_next().await {
        let (set, socket, count) = done.unwrap();
        sets[set].push(socket);
        counts[set] += count;
    }
    counts
}

/// Checks what is counted, and what the process takes.
#[track_caller]
fn check(proxy: &Proxy, resident_max: u64) {
    let counted = proxy.metric("polliwog_buffers_bytes ", "");
    // In this order: those that end in between may have more to let go.
    let ended = proxy.metric("polliwog_sessions_closed_total", "");
    let most = f64::from(MEMORY_MAX + READ_MAX) + ended * f64::from(LEAVING_MAX);
    assert!(counted <= most, "{counted} bytes are counted, and {ended} sessions have ended");
    let resident = proxy.resident() * 1024;
    assert!(resident <= resident_max, "{resident} bytes are resident, and may be {resident_max}");
}

/// Waits until the clients that read nothing hold all that they can get.
async fn settle(proxy: &Proxy) {
    let held = || {
        proxy.metric("polliwog_sessions_held_back ", "")
            + proxy.metric("polliwog_sessions_closed_total", "reason=\"memory\"")
    };
    for _ in 0..600 {
        if held() >= f64::from(SILENT / 2) {
            return;
        }
        // The interval between two looks.
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{} sessions are held back", held());
}

/// Has each client that reads send messages, one after the other, and get each of them back; `look` is called meanwhile.
async fn exchange(readers: &mut Vec<Socket>, look: impl Fn()) {
    let mut talking = JoinSet::new();
    for mut socket in readers.drain(..) {
        talking.spawn(async move {
            for number in 0..MESSAGES {
                let text = format!("{number:0>200}");
                socket.send(Message::text(text.as_str())).await.unwrap();
                let echo = timeout(PATIENCE, socket.next()).await.expect("no echo came");
                assert_eq!(echo.unwrap().unwrap(), Message::text(text.as_str()));
            }
            socket
        });
    }
    while !talking.is_empty() {
        look();
        while let Some(done) = talking.try_join_next() {
            readers.push(done.unwrap());
        }
        // The interval between two looks.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Connects the clients that read: half of them by way of a shared connection.
async fn readers(proxy: SocketAddr, count: u32) -> Vec<Socket> {
    let mut readers = Vec::new();
    for number in 0..count {
        let path = if number % 2 == 0 { "echo" } else { "echo-mux" };
        let stream = TcpStream::connect(proxy).await.unwrap();
        readers.push(client_async(format!("ws://{proxy}/{path}/"), stream).await.unwrap().0);
    }
    readers
}

/// Connects the clients that read nothing, of each kind as many.
async fn silent(proxy: SocketAddr) -> Vec<Silent> {
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let stream = narrow(proxy).await;
        let web_socket = async |path: &str, stream| {
            client_async(format!("ws://{proxy}/{path}/"), stream).await.unwrap().0.into_inner()
        };
        // They fetch their open packet, and never come back.
        let polling =
            async |path: &str, stream| ask(stream, &format!("GET /{path}/?EIO=4&transport=polling")).await;
        silent.push(match number % 5 {
            0 => web_socket("socket", stream).await,
            1 => web_socket("socket-mux", stream).await,
            2 => polling("polling", stream).await,
            3 => polling("polling-mux", stream).await,
            _ => ask(stream, &format!("POST /stream/000/silent-{number}/xhr_streaming")).await,
        });
    }
    silent
}

/// Connects a client whose system takes little that it does not read.
async fn narrow(proxy: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(proxy).await.unwrap()
}

/// Sends a request and reads the beginning of the response.
async fn ask(mut stream: TcpStream, request: &str) -> TcpStream {
    let request = format!("{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("no response came").unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    stream
}

/// Starts a backend that sends everything back.
async fn echoes() -> SocketAddr {
    serve(|mut socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Starts a backend that sends as much as is taken, once it is told to.
async fn flooder(flooding: watch::Receiver<bool>) -> SocketAddr {
    let text = Message::text("x".repeat(LEN as usize));
    serve(move |socket| {
        let (text, mut flooding) = (text.clone(), flooding.clone());
        async move {
            let (mut sink, mut source) = socket.split();
            // It answers pings, and notices the end.
            let reads = async { while let Some(Ok(_)) = source.next().await {} };
            let writes = async {
                drop(flooding.wait_for(|floods| *floods).await);
                while sink.feed(text.clone()).await.is_ok() {}
            };
            tokio::join!(reads, writes);
        }
    })
    .await
}

async fn serve<T>(mut serve: impl FnMut(Socket) -> T + Send + 'static) -> SocketAddr
where
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, mut ready) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accepted = accepted.clone();
            tokio::spawn(async move {
                if let Ok(socket) = accept_async(stream).await {
                    let _gone = accepted.send(socket).await;
                }
            });
        }
    });
    tokio::spawn(async move {
        while let Some(socket) = ready.recv().await {
            tokio::spawn(serve(socket));
        }
    });
    address
}

fn upstream(name: &str, kind: &str, address: SocketAddr, path: &str) -> String {
    format!("[upstreams.{name}]\nkind = '{kind}'\nurl = 'ws://{address}/{path}'\n")
}

const SESSIONS: u32 = 2_000;
const SILENT: u32 = 200;
/// The messages of each client that reads, each time.
const MESSAGES: usize = 10;
/// The length of the others' messages.
const LEN: u32 = 4_000;
const MEMORY_MAX: u32 = 32_000_000;
/// What each session may still hold that has ended: a message, and what its WebSocket takes before it writes.
const LEAVING_MAX: u32 = LEN + 64 + (4 << 10);
/// What may be read at the moment when all is used: by each thread 16 KiB, and of each shared connection a frame.
const READ_MAX: u32 = 300_000;
/// How many of the clients that read are compared with those of a proxy that nobody floods, for how long, and how often each of
/// them sends a message.
const COMPARED: u32 = 200;
const COMPARED_FOR: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const PACE: Duration = Duration::from_millis(100);
const LIMITS: &str = "[limits]\nmemory_max = '32MB'\nhandshakes_per_second = 0";
const PATIENCE: Duration = Duration::from_mins(1);
