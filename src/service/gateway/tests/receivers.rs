//! A receiver is told in its own words that it will receive nothing more.

use super::*;

#[tokio::test]
async fn a_poll_that_waits_is_told_why_its_session_ends() {
    let gateway = echo(dialect::find("sockjs").unwrap(), "/x").await;
    assert_eq!(ask(&gateway, "POST /x/0/a/xhr", "").await, (200, "o\n".to_owned()));
    assert_eq!(ask(&gateway, "POST /x/0/a/xhr_send", "[\"one\"]").await.0, 204);
    let Located::Here(Entry::Bridge(bridge)) = gateway.route.registry.find(&gateway.route.id, "a") else {
        panic!("no session");
    };
    let delivery = bridge.poll().unwrap().await.unwrap();
    let waits = ask(&gateway, "POST /x/0/a/xhr", "");
    let lose = async {
        // All is in memory: the other poll waits after as many turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(delivery);
    };
    let (told, ()) = tokio::join!(waits, lose);
    assert_eq!(told, (200, "c[1002,\"Connection interrupted\"]\n".to_owned()));
}
