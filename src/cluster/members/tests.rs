//! Which nodes are known, and when.

use super::*;
use crate::cluster::Peers;
use crate::cluster::roster::Nodes;

#[tokio::test(start_paused = true)]
async fn a_node_that_has_just_joined_is_found_by_a_fresh_look() {
    let (keeper, cluster) = kept();
    assert!(cluster.owner_of(node("me")).is_none());
    keeper.publish(listed(&["me", "a"]), Instant::now());
    let owner = cluster.owner_of(node("b")).unwrap();
    assert!(owner.peer.is_none());
    let look = async {
        keeper.wanted().await;
        keeper.publish(listed(&["me", "a", "b"]), Instant::now());
    };
    let (found, ()) = tokio::join!(cluster.look_for(owner.node), look);
    assert_eq!(found.unwrap().address(), "b:1");
    assert!(cluster.owner_of(node("b")).unwrap().peer.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_had_begun_before_says_nothing_of_a_node_that_has_just_joined() {
    let (keeper, cluster) = kept();
    let begun = Instant::now();
    let node = Node::from_random(Tag::of_name("b").unwrap(), [1; 2]);
    let look = async {
        keeper.wanted().await;
        sleep(Duration::from_millis(1)).await;
        keeper.publish(listed(&["me", "a"]), begun - Duration::from_millis(1));
        sleep(Duration::from_millis(1)).await;
        keeper.publish(listed(&["me", "a", "b"]), Instant::now());
    };
    let (found, ()) = tokio::join!(cluster.look_for(node), look);
    assert_eq!(found.unwrap().address(), "b:1");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_on_no_list_is_not_waited_for_twice() {
    let (keeper, cluster) = kept();
    let node = Node::from_random(Tag::of_name("zz").unwrap(), [1; 2]);
    let since = Instant::now();
    let look = async {
        keeper.wanted().await;
        keeper.publish(listed(&["me", "a"]), Instant::now());
    };
    assert!(tokio::join!(cluster.look_for(node), look).0.is_none());
    assert!(since.elapsed() < LOOK_MAX);
    // Nor forever if the source does not answer.
    sleep(Duration::from_millis(1)).await;
    let since = Instant::now();
    assert!(cluster.look_for(node).await.is_none());
    assert_eq!(since.elapsed(), LOOK_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_forgets_a_node_does_not_end_its_sessions_at_once() {
    let (keeper, cluster) = kept();
    keeper.publish(listed(&["me", "a", "b"]), Instant::now());
    let is_known = |name| {
        let cluster = Arc::clone(&cluster);
        async move {
            sleep(Duration::from_millis(1)).await;
            cluster.owner_of(node(name)).unwrap().peer.is_some()
        }
    };
    assert!(is_known("b").await);
    keeper.publish(listed(&["me", "a"]), Instant::now());
    assert!(is_known("b").await);
    sleep(FORGOTTEN_AFTER).await;
    keeper.publish(listed(&["me", "a"]), Instant::now());
    assert!(!is_known("b").await && is_known("a").await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_moves_is_asked_at_its_new_address() {
    let (keeper, cluster) = kept();
    keeper.publish(listed(&["me", "a"]), Instant::now());
    sleep(Duration::from_millis(1)).await;
    let before = cluster.owner_of(node("a")).unwrap().peer.unwrap();
    let mut nodes = listed(&["me", "a"]);
    keeper.publish(nodes.clone(), Instant::now());
    sleep(Duration::from_millis(1)).await;
    assert!(Arc::ptr_eq(&before, &cluster.owner_of(node("a")).unwrap().peer.unwrap()));
    nodes.insert(Tag::of_name("a").unwrap(), vec!["elsewhere:1".to_owned()]);
    keeper.publish(nodes, Instant::now());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(cluster.owner_of(node("a")).unwrap().peer.unwrap().address(), "elsewhere:1");
}

#[tokio::test]
async fn a_node_that_is_on_no_fixed_list_is_no_node() {
    let cluster = of(Roster::fixed(listed(&["me", "a"])));
    assert!(cluster.owner_of(node("a")).unwrap().peer.is_some());
    assert!(cluster.owner_of(node("b")).is_none());
}

fn kept() -> (crate::cluster::roster::Keeper, Arc<Cluster>) {
    let (keeper, roster) = Roster::kept();
    (keeper, of(roster))
}

fn of(roster: Roster) -> Arc<Cluster> {
    let me = Me::starting(me(), "");
    let secured = Secured::new(None).unwrap();
    Cluster::new(&settings(), me, secured, roster, None, &Background::default(), ClusterMeter::default())
}

fn listed(names: &[&str]) -> Nodes {
    names.iter().map(|name| (Tag::of_name(name).unwrap(), vec![format!("{name}:1")])).collect()
}

fn me() -> Node {
    Node::from_random(Tag::of_name("me").unwrap(), [0; 2])
}

fn node(name: &str) -> Node {
    Node::from_random(Tag::of_name(name).unwrap(), [1; 2])
}

fn settings() -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: "me:1".to_owned(),
        node: me().tag,
        peers: Peers::Named(BTreeMap::new()),
        tls: None,
        token: http::HeaderValue::from_static("Bearer x"),
        connect_timeout: Duration::from_secs(1),
        silence_timeout: Duration::from_secs(3),
    }
}
