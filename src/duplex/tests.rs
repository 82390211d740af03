//! A stream that is read ahead of its reader.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Carrier, Duplex, READ_AHEAD_LEN};

async fn pair() -> (Duplex, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("somebody listens");
    let (ours, _) = listener.accept().await.expect("somebody has dialled");
    (ours.into(), theirs)
}

fn left_in_the_system(duplex: &Duplex) -> bool {
    let Carrier::Socket(super::Socket::Tcp(stream)) = &duplex.carrier else { panic!("not a TCP socket") };
    stream.try_read(&mut [0; 1]).is_ok()
}

#[tokio::test]
async fn what_a_short_buffer_has_no_room_for_is_read_next() {
    let (ours, mut theirs) = pair().await;
    let mut ours = Duplex { reads_ahead: true, ..ours.behind("first ".into()) };
    let sent: Vec<u8> = (0..=250).cycle().take(3 * READ_AHEAD_LEN).collect();
    theirs.write_all(&sent).await.expect("a socket that takes it");
    drop(theirs);
    let mut read: Vec<u8> = Vec::new();
    let mut asked = 0;
    loop {
        let mut buf = [0; 100];
        let len = ours.read(&mut buf[..=asked % 100]).await.expect("a socket that gives it");
        if len == 0 {
            break;
        }
        assert!(ours.ahead.len() < READ_AHEAD_LEN);
        read.extend(&buf[..len]);
        asked += 1;
    }
    assert_eq!(&read[..6], b"first ");
    assert!(read[6..] == sent, "lost, duplicated or out of order");
}

#[tokio::test]
async fn the_system_is_asked_once_for_all_that_is_short() {
    let (ours, mut theirs) = pair().await;
    theirs.write_all(&[7; 300]).await.expect("a socket that takes it");
    let mut ahead = Duplex { reads_ahead: true, ..ours };
    assert_eq!(ahead.read(&mut [0; 100]).await.expect("a socket that gives it"), 100);
    assert!(!left_in_the_system(&ahead));
    assert_eq!(ahead.take_ahead().len(), 200);

    let (mut ours, mut theirs) = pair().await;
    theirs.write_all(&[7; 300]).await.expect("a socket that takes it");
    assert_eq!(ours.read(&mut [0; 100]).await.expect("a socket that gives it"), 100);
    assert!(left_in_the_system(&ours), "only WebSockets are read ahead");
}
