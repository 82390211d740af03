//! `[routes.auth]`.

use super::*;
use crate::service::AuthSettings;

fn auth(line: &str) -> Result<AuthSettings, String> {
    let text = GOOD.replacen("[[routes]]\n", &format!("[[routes]]\nauth = {line}\n"), 1);
    let config = parse(&text, &[]).map_err(|faults| faults.to_string())?;
    Ok(config.routes.into_iter().next().and_then(|route| route.auth).expect("it is written"))
}

#[test]
fn an_auth_server_is_an_upstream_of_its_own_with_one_deadline() {
    let read = auth("{ url = 'http://a/verify', headers = ['X-User', 'x-groups'], timeout = '2s' }").unwrap();
    assert_eq!(read.timeout, Duration::from_secs(2));
    assert_eq!((read.server.connect_timeout, read.server.response_timeout), (read.timeout, read.timeout));
    assert_eq!((read.server.host, read.server.urls.len()), (Host::Upstream, 1));
    assert_eq!(read.headers, ["x-user", "x-groups"]);
    assert_eq!(auth("{ url = 'https://a/' }").unwrap().timeout, Duration::from_secs(5));
    assert_eq!(auth("{ url = 'http://a/', socket = '/run/a.sock' }").unwrap().server.sockets.len(), 1);
}

#[test]
fn what_cannot_be_asked_or_passed_on_is_a_fault() {
    for (line, said) in [
        ("{ headers = ['X-User'] }", "auth.url"),
        ("{ url = 'ws://a/' }", "http://a/"),
        ("{ url = 'http://me:secret@a/' }", "a URL without one"),
        ("{ url = 'http://a/', headers = ['Connection'] }", "headers that do not decide"),
        ("{ url = 'http://a/', headers = ['X User'] }", "the name of a header"),
        ("{ url = 'http://a/', headers = ['X-User', 'x-user'] }", "each header once"),
        ("{ url = 'http://a/', tls = { ca = 'a.pem' } }", "https://"),
        ("{ url = 'http://a/', header = 'X-User' }", "headers"),
    ] {
        let faults = auth(line).unwrap_err();
        assert!(faults.contains(said), "{said} is not in {faults}");
        assert!(!faults.contains("secret"), "{faults}");
    }
}
