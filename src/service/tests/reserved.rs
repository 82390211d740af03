//! An id that names no node, and that a receiver has reserved at a node which has not met its session before.

use std::sync::Arc;

use super::net::Net;
use super::pair::{node, roster, settle};
use super::site::{Common, Site};
use crate::service::locations::Locations;
use crate::service::settings::Route;
use crate::session;

// What a request sees of a reservation may be gone a moment later, when it asks what that was worth.
#[tokio::test(start_paused = true)]
async fn only_what_this_node_itself_begins_is_nowhere_else() {
    let net = Net::default();
    let common = Common::of("sockjs", "/sockjs/", session::Settings::default());
    let me = node("a", 0);
    let site = Site::start(&net, &common, me, "a:1", |_| roster(&[("a", "a:1")]));
    settle().await;
    let (registry, route) = (&site.registry, Route::at("/sockjs/", None).id());
    let locations = Locations::new(me, Arc::clone(&site.cluster), None);
    assert!(locations.may_be_elsewhere(registry, &route, "one"), "it has been let go since");
    let ours = registry.reserve_named(&route, "one").unwrap();
    assert!(!locations.may_be_elsewhere(registry, &route, "one"), "it begins here");
    drop(ours);
    assert!(locations.may_be_elsewhere(registry, &route, "one"));
    site.kill();
}
