//! The client's response when the backend fails, and the end of a request when its client disconnects.

use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use crate::site::{Plan, Site, ok};
use crate::support::target::Target;
use crate::support::wire::Fill;
use crate::support::{QUIET, SOON, assert_took, metrics, ms, patiently};

#[test]
fn a_backend_that_is_down_is_a_502_and_comes_back() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let backend = listener.local_addr().unwrap();
    drop(listener);
    let target = Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n[[routes]]\npath = \"/\"\n\
             dialect = \"http\"\nupstream = \"b\"\n[upstreams.b]\nkind = \"http\"\nurl = \"http://{backend}\"\n"
        )
    });
    let mut client = crate::support::http::Client::connect(target.public);
    let answer = client.get("/");
    answer.assert(502, "the upstream is down\n");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let ready = metrics::readyz(target.admin);
    assert_eq!((ready.status, ready.text()), (503, "upstream b is down\n"));
    let _listener = TcpListener::bind(backend).unwrap();
    metrics::assert_readiness(target.admin, 200);
}

#[test]
fn the_next_of_several_urls_is_asked_if_one_is_down() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let down = listener.local_addr().unwrap();
    drop(listener);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let up = listener.local_addr().unwrap();
    let target = Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n[[routes]]\npath = \"/\"\n\
             dialect = \"http\"\nupstream = \"b\"\n[upstreams.b]\nkind = \"http\"\n\
             url = [\"http://{down}/one/\", \"http://{up}/two/\"]\n"
        )
    });
    for _ in 0..4 {
        let mut client = crate::support::http::Client::connect(target.public);
        client.send_get("/x");
        let mut wire = crate::support::wire::Wire::new(listener.accept().unwrap().0);
        let head = wire.take_until(b"\r\n\r\n", Instant::now() + SOON).unwrap();
        // Each URL has a path of its own.
        assert!(head.starts_with(b"GET /two/x HTTP/1.1\r\n"));
        wire.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 204);
    }
}

#[test]
fn a_backend_that_speaks_something_else_is_a_502() {
    for garbage in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 banana\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "\0\0\0\0",
    ] {
        let site = Site::new();
        let mut client = site.client();
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        line.reply(garbage);
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{garbage:?}: {answer:?}");
        line.assert_ends();
        assert!(site.counted(502));
        // The client's connection is still usable.
        client.send_get("/again");
        let mut line = site.accept();
        line.request();
        line.reply(&ok("fine"));
        client.answer().assert(200, "fine");
    }
}

#[test]
fn a_backend_that_closes_without_a_response_is_a_502() {
    let site = Site::new();
    for part in ["", "HTTP/1.1 200 OK\r\nContent-"] {
        let mut client = site.client();
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        line.reply(part);
        line.wire.close();
        client.answer().assert(502, "the upstream is down\n");
    }
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_a_504() {
    patiently(|| {
        let site = Site::with(&Plan::new().upstream("response_timeout = \"400ms\""));
        let mut client = site.client();
        let start = Instant::now();
        client.send_get("/");
        let mut line = site.accept();
        line.request();
        client.answer().assert(504, "the upstream timed out\n");
        assert_took(start.elapsed(), 390, 900);
        line.assert_ends();
        site.assert_healthy();
    });
}

#[test]
fn a_body_under_way_extends_the_timeout() {
    patiently(|| {
        let site = Site::with(&Plan::new().upstream("response_timeout = \"400ms\""));
        let mut client = site.client();
        client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n");
        let mut line = site.accept();
        line.request();
        for _ in 0..8 {
            // The body is slow, but never silent for the timeout.
            thread::sleep(ms(150));
            client.wire.send(b"x");
        }
        line.body(8);
        // The response is late, but within the timeout.
        thread::sleep(ms(150));
        line.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        // A response that has begun may be slow.
        // Longer than the timeout.
        thread::sleep(ms(600));
        line.reply("slow");
        client.answer().assert(200, "slow");
    });
}

#[test]
fn a_client_that_stops_in_the_middle_of_its_body_is_a_408() {
    patiently(|| {
        let site = Site::with(&Plan::new().upstream("response_timeout = \"400ms\""));
        let mut client = site.client();
        client.wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nhalf");
        let mut line = site.accept();
        line.request();
        assert_eq!(client.answer().status, 408);
        line.assert_ends();
        assert!(client.ends_within(SOON));
    });
}

#[test]
fn a_backend_that_cannot_be_reached_in_time_is_a_504() {
    // It listens, and its queue is full: no SYN is answered.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let backend = socket.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect_timeout(&backend, ms(50))).collect();
    let target = Target::proxy_with(|public, admin| {
        format!(
            "[server]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n[[routes]]\npath = \"/\"\n\
             dialect = \"http\"\nupstream = \"b\"\n[upstreams.b]\nkind = \"http\"\nurl = \"http://{backend}\"\n\
             connect_timeout = \"200ms\"\n"
        )
    });
    crate::support::http::Client::connect(target.public).get("/").assert(504, "the upstream timed out\n");
}

#[test]
fn a_client_that_hangs_up_cancels_its_request() {
    // A FIN may close only the client's direction, so the response is still delivered for a while.
    let site = Site::with(&Plan::new().server("half_close_timeout = \"300ms\""));
    // While it waits for a response, by a FIN and by a reset.
    for orderly in [true, false] {
        let mut client = site.client();
        client.send_get("/wait");
        let mut line = site.accept();
        line.request();
        if orderly {
            client.wire.close();
        } else {
            client.wire.reset();
        }
        line.assert_ends();
    }
    // In the middle of the response.
    let mut client = site.client();
    client.send_get("/stream");
    let mut line = site.accept();
    line.request();
    line.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    assert_eq!(client.wire.take_until(b"1\r\nx\r\n", Instant::now() + SOON).map(|_| ()), Ok(()));
    client.wire.close();
    line.assert_ends();
    site.assert_healthy();
}

#[test]
fn a_draining_proxy_finishes_what_is_under_way() {
    let mut site = Site::new();
    let (mut client, mut other) = (site.client(), site.client());
    client.send_get("/slow");
    let mut line = site.accept();
    line.request();
    other.send_get("/stream");
    let mut stream = site.accept();
    stream.request();
    stream.reply("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    // Half of the response is on its way to the client.
    thread::sleep(QUIET);
    site.target.signal("TERM");
    // Each connection learns of the drain by itself; nothing shows when it has.
    thread::sleep(ms(200));
    line.reply(&ok("done"));
    let answer = client.answer();
    answer.assert(200, "done");
    assert_eq!(answer.header("connection"), Some("close"));
    stream.reply("rest");
    other.answer().assert(200, "halfrest");
    assert_eq!(site.target.exit_within(SOON).expect("it ends").code(), Some(0));
}

#[test]
fn a_drain_that_has_to_cut_a_response_is_no_clean_end() {
    let mut site = Site::with(&Plan::new().server("drain_timeout = \"300ms\""));
    let mut client = site.client();
    client.send_get("/stream");
    let mut stream = site.accept();
    stream.request();
    stream.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    client.wire.take_until(b"1\r\nx\r\n", Instant::now() + SOON).expect("it has begun");
    site.target.signal("TERM");
    assert_eq!(site.target.exit_within(SOON).expect("it ends").code(), Some(1));
    stream.assert_ends();
    assert!(client.ends_within(SOON));
}

#[test]
fn a_client_may_pipeline() {
    let site = Site::new();
    let mut client = site.client();
    client.wire.send(
        b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let mut line = site.accept();
    for number in 1..=3 {
        assert_eq!(line.request().target(), format!("/{number}"));
        if number == 2 {
            line.body(2);
        }
        assert_eq!(line.wire.fill(Instant::now() + QUIET), Fill::Quiet, "one after the other");
        line.reply(&ok(&number.to_string()));
    }
    for number in 1..=3 {
        client.answer().assert(200, &number.to_string());
    }
}
