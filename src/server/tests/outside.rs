//! A waiting request is out of hyper's hands, and its client can't tell.

use super::*;

const POLL: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn one_connection_waits_again_and_again() {
    let (server, parked) = Running::park(settings());
    let mut client = server.connect().await;
    for _ in 0..5 {
        client.write(POLL).await;
        parked.entered().await;
        parked.release.notify_waiters();
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nparked"), "{answer}");
        assert_eq!(answer.matches("\r\n").count(), 4, "a status, content-length, date and an end: {answer}");
        parked.left().await;
    }
}

#[tokio::test]
async fn an_idle_connection_gives_up_its_service_and_keeps_its_logins() {
    let pinned = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pinned);
    let server = Running::start_each(settings(), move |info: ConnectInfo| {
        seen.lock().unwrap().push((info.peer, info.pinned));
        service_fn(|request| Box::pin(hello(request)))
    });
    let mut client = server.connect().await;
    // It may be asked again before it rests.
    let asks = async {
        while pinned.lock().unwrap().len() < 3 {
            assert!(client.ask(POLL).await.ends_with("hello"));
        }
    };
    timeout(PATIENCE, asks).await.expect("it rests");
    let (peer, first) = pinned.lock().unwrap()[0].clone();
    for (again, pinned) in &*pinned.lock().unwrap() {
        assert!(*again == peer && pinned.is_same(&first));
    }
    let metrics = server.metrics.render();
    assert!(metrics.contains("polliwog_connections{listener=\"default\"} 1\n"), "{metrics}");
    assert!(metrics.contains("polliwog_connections_accepted_total{listener=\"default\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_rest_does_not_renew_what_a_connection_may_serve() {
    let mut settings = settings();
    settings.limits.connection_requests = 20;
    let server = Running::start(settings, hello);
    let mut client = server.connect().await;
    for _ in 1..20 {
        let answer = client.ask(POLL).await;
        assert!(answer.ends_with("hello") && !answer.contains("Connection: close"), "{answer}");
        // Some of them rest before the next request.
        tokio::task::yield_now().await;
    }
    client.write(POLL).await;
    assert!(client.rest().await.contains("\r\nConnection: close\r\n"));
}

#[tokio::test]
async fn what_comes_behind_a_request_that_waits_is_answered_behind_it() {
    let release = Arc::new(Notify::new());
    let waiting = Arc::clone(&release);
    let service = move |request: Request| {
        let waiting = Arc::clone(&waiting);
        async move {
            if request.uri().path() == "/" {
                waiting.notified().await;
            }
            let path = request.uri().path().to_owned();
            let len = request.into_body().collect().await.unwrap().to_bytes().len();
            Ok::<_, Infallible>(Response::new(Full::from(format!("{path} {len}"))))
        }
    };
    let server = Running::start(settings(), service);
    let second =
        format!("POST /2 HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n{}", "x".repeat(90_000));
    // All at once, a little at first, and byte by byte at first.
    for pieces in [vec![], vec![POLL.len()], vec![POLL.len(), POLL.len() + 1, POLL.len() + 300]] {
        let mut client = server.connect().await;
        let both = format!("{POLL}{second}");
        let mut from = 0;
        for to in pieces {
            client.write(&both[from..to]).await;
            // Each piece is read alone.
            tokio::time::sleep(Duration::from_millis(20)).await;
            from = to;
        }
        release.notify_one();
        client.write(&both[from..]).await;
        let first = client.answer().await;
        let (first, rest) = first.split_at(first.find("/ 0").expect("the first answer") + 3);
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"));
        let second = if rest.ends_with("/2 90000") { rest.to_owned() } else { client.answer().await };
        assert!(second.ends_with("/2 90000"), "{second}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_request() {
    let (server, parked) = Running::park(settings());
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.write(POLL).await;
        parked.entered().await;
        client.0.shutdown().await.unwrap();
        parked.left().await;
        assert_eq!(client.rest().await, "");
    }
}

#[tokio::test]
async fn an_error_drops_the_connection_of_a_request_that_waited() {
    let service = |_: Request| async {
        // It waits, so that it goes on outside of hyper.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<Response<Full<Bytes>>, _>(io::Error::other("not this one"))
    };
    let server = Running::start(settings(), service);
    let mut client = server.connect().await;
    client.write(POLL).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_connection_that_is_to_end_ends_behind_its_answer() {
    let (server, parked) = Running::park(settings());
    for head in ["GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\nhost: x\r\nConnection: close\r\n"] {
        let mut client = server.connect().await;
        client.write(&format!("{head}\r\n")).await;
        parked.entered().await;
        parked.release.notify_waiters();
        assert!(client.rest().await.ends_with("\r\n\r\nparked"));
        parked.left().await;
    }
}

#[tokio::test]
async fn an_answer_of_each_kind_is_as_it_would_be_at_once() {
    for wait in [0, 20] {
        let service = move |request: Request| async move {
            // It waits, so that it goes on outside of hyper.
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let mut response = Response::new(Full::from(request.uri().path().to_owned()));
            if request.uri().path() == "/none" {
                *response.status_mut() = StatusCode::NO_CONTENT;
                *response.body_mut() = Full::default();
            }
            Ok::<_, Infallible>(response)
        };
        let server = Running::start(settings(), service);
        let mut client = server.connect().await;
        let asked = "GET /none HTTP/1.1\r\nhost: x\r\nconnection: Keep-Alive\r\n\r\n";
        let none = client.ask(asked).await;
        assert!(none.starts_with("HTTP/1.1 204 No Content\r\nDate: "), "{none}");
        client.write("HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let head = client.rest().await;
        assert!(head.contains("Content-Length: 2\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_request_for_an_upgrade_may_follow_one_that_waited() {
    let service = |request: Request| async move {
        if request.headers().contains_key("upgrade") {
            return upgrade_to_echo(request).await;
        }
        // It waits, so that it goes on outside of hyper.
        tokio::time::sleep(Duration::from_millis(20)).await;
        hello(request).await
    };
    let server = Running::start(settings(), service);
    let mut client = server.connect().await;
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nahead ";
    client.write(&format!("{POLL}{upgrade}")).await;
    let mut heard = client.answer().await;
    client.write("and behind").await;
    client.0.shutdown().await.unwrap();
    heard.push_str(&client.rest().await);
    assert!(heard.contains("\r\n\r\nhelloHTTP/1.1 101 ") && heard.ends_with("ahead and behind"), "{heard}");
}
