//! Who may ask the admin listener, and the drain that it may be asked for.

use super::{ask, world};
use crate::support::{SOON, Setup, metrics};

#[test]
fn with_a_token_nobody_else_sees_or_changes_anything() {
    let mut setup = Setup::new();
    // The keys of `[admin]` come before the sections.
    setup.admin = "token = \"a-long-secret-of-operators\"";
    let Some(world) = world(setup) else { return };
    let admin = world.target.admin;
    for (path, status) in
        [("/livez", 200), ("/readyz", 200), ("/metrics", 401), ("/api/sessions", 401), ("/", 401)]
    {
        assert_eq!(ask(admin, "GET", path, &[]).status, status, "{path}");
    }
    for path in ["/api/drain", "/api/reload"] {
        assert_eq!(ask(admin, "POST", path, &[("Authorization", "Bearer another-long-secret")]).status, 401);
    }
    let refused = ask(admin, "GET", "/", &[]);
    assert!(refused.header("www-authenticate").is_some_and(|asked| asked.starts_with("Basic realm=")));
    // "operator:" and the token.
    let password = ("Authorization", "Basic b3BlcmF0b3I6YS1sb25nLXNlY3JldC1vZi1vcGVyYXRvcnM=");
    let bearer = ("Authorization", "Bearer a-long-secret-of-operators");
    for own in [password, bearer] {
        assert_eq!(ask(admin, "GET", "/api/sessions", &[own]).status, 200);
        let page = [own, ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")];
        assert_eq!(ask(admin, "POST", "/api/drain", &page).status, 403, "its browser knows the password");
    }
    let page = [bearer, ("Origin", "http://wire.test"), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(ask(admin, "POST", "/api/reload", &page).status, 200);
    assert!(!world.log().contains("a-long-secret"));
}

#[test]
fn an_operator_may_ask_for_a_drain() {
    let Some(mut world) = world(Setup::new().server("drain_delay = \"1s\"")) else { return };
    let admin = world.target.admin;
    let (mut poller, peer) = world.poller();
    poller.park();
    assert_eq!(ask(admin, "POST", "/api/drain", &[("Sec-Fetch-Site", "cross-site")]).status, 403);
    assert_eq!(metrics::readyz(admin).status, 200);
    for _ in 0..2 {
        // The second one changes nothing, whereas a second signal would abort what is left.
        assert_eq!(ask(admin, "POST", "/api/drain", &[]).status, 202);
    }
    assert_eq!(metrics::readyz(admin).text_without_nodes(), "draining\nupstream b is up\n");
    poller.assert_parked_gets("1");
    peer.assert_closed();
    let status = world.target.exit_within(SOON).expect("it ends by itself");
    assert!(status.success(), "{status}");
}
