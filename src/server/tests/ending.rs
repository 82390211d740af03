//! The two ways in which a server ends.

use super::*;

#[tokio::test]
async fn an_end_closes_idle_connections_and_the_listener() {
    let server = Running::start(settings(), hello);
    let (mut fresh, mut used) = (server.connect().await, server.connect().await);
    assert!(used.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
    server.signals.end.cancel();
    assert_eq!(fresh.rest().await, "");
    assert_eq!(used.rest().await, "");
    server.ended().await;
    assert!(TcpStream::connect(server.addresses[0]).await.is_err(), "the port is free again");
}

#[tokio::test]
async fn an_end_lets_a_parked_request_be_answered_and_then_closes() {
    let (server, parked) = Running::park(settings());
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    let mut idle = server.connect().await;
    server.signals.end.cancel();
    assert_eq!(idle.rest().await, "", "the idle connection shows that the word has gone round");
    assert!(!server.tracker.is_empty(), "the parked request is waited for");
    parked.release.notify_waiters();
    let answer = client.rest().await;
    assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with("parked"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn a_cut_drops_a_parked_request_without_an_answer() {
    let (server, parked) = Running::park(settings());
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    server.signals.cut.cancel();
    parked.left().await;
    assert_eq!(client.rest().await, "");
    server.ended().await;
}

#[tokio::test]
async fn a_cut_ends_what_an_end_was_waiting_for() {
    let (server, parked) = Running::park(settings());
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    let mut idle = server.connect().await;
    server.signals.end.cancel();
    assert_eq!(idle.rest().await, "");
    server.signals.cut.cancel();
    assert_eq!(client.rest().await, "");
    server.ended().await;
}

#[tokio::test]
async fn an_end_that_came_first_is_heard_by_a_connection_that_comes_later() {
    let server = Running::start(settings(), hello);
    let mut racing = Vec::new();
    for _ in 0..50 {
        racing.push(server.connect().await);
    }
    server.signals.end.cancel();
    for client in &mut racing {
        assert_eq!(client.rest().await, "");
    }
    server.ended().await;
    let metrics = server.metrics.render();
    assert!(metrics.contains("polliwog_connections{listener=\"default\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn an_upgraded_connection_is_not_the_servers_to_end() {
    let server = Running::start(settings(), upgrade_to_echo);
    let mut client = server.connect().await;
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    assert!(client.ask(request).await.starts_with("HTTP/1.1 101 "));
    server.signals.end.cancel();
    server.ended().await;
    client.write("still there").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "still there");
}

#[tokio::test]
async fn a_handshake_of_tls_does_not_hold_up_the_end() {
    let (settings, _files, _) = tls::settings();
    let server = Running::start(settings, hello);
    let mut silent = server.connect().await;
    let mut other = server.connect().await;
    other.write("not TLS\r\n").await;
    // The second connection was accepted after the first, which by now waits in its handshake.
    other.rest().await;
    server.signals.end.cancel();
    assert_eq!(silent.rest().await, "");
    server.ended().await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_with_its_body() {
    let service = |request: Request| async move {
        let _body = request.into_body();
        pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    };
    let server = Running::start(settings(), service);
    let mut client = server.connect().await;
    client.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome").await;
    server.signals.end.cancel();
    server.signals.cut.cancel();
    client.rest().await;
    server.ended().await;
}

#[tokio::test]
async fn a_server_that_leaves_closes_each_connection_behind_its_next_response_and_none_before() {
    let (server, parked) = Running::park(settings());
    let (mut waiting, mut idle, mut fresh) =
        (server.connect().await, server.connect().await, server.connect().await);
    let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    for client in [&mut waiting, &mut idle] {
        client.write(request).await;
        parked.entered().await;
    }
    parked.release.notify_waiters();
    for client in [&mut waiting, &mut idle] {
        let answer = client.answer().await;
        assert!(!answer.contains("Connection: close"), "{answer}");
        parked.left().await;
    }
    waiting.write(request).await;
    parked.entered().await;
    server.signals.leave.cancel();
    // Refused from now on: nobody else has the socket.
    let address = server.addresses[0];
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("the listener is closed");
    for client in [&mut idle, &mut fresh] {
        client.write(request).await;
        parked.entered().await;
    }
    parked.release.notify_waiters();
    for client in [&mut waiting, &mut idle, &mut fresh] {
        let answer = client.rest().await;
        assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with("parked"), "{answer}");
    }
    server.ended().await;
}

#[tokio::test]
async fn a_server_that_has_left_ends_like_any_other() {
    let server = Running::start(settings(), hello);
    let mut idle = server.connect().await;
    assert!(idle.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
    server.signals.leave.cancel();
    tokio::task::yield_now().await;
    server.signals.end.cancel();
    assert_eq!(idle.rest().await, "");
    server.ended().await;
}
