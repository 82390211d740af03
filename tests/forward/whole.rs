//! Several routes: the shipped configuration, and the client's files below a Socket.IO path.

use crate::site::{Plan, Site, ok};
#[cfg(feature = "demo")]
use crate::support::{http::Client, target::Target};

#[cfg(feature = "demo")]
#[test]
fn the_shipped_configuration_serves_a_page() {
    const SHIPPED: &str = include_str!("../../config.toml");
    let target = Target::proxy_with(|public, admin| {
        SHIPPED.replace("127.0.0.1:8080", &public.to_string()).replace("127.0.0.1:9090", &admin.to_string())
    });
    let mut client = Client::connect(target.public);
    let page = client.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("curl") && page.text().contains("socket.io-client"));
    let assets: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.text().split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(assets.len() >= 2, "a script and a style: {assets:?}");
    for asset in assets {
        assert_eq!(client.get(&format!("/{asset}")).status, 200, "it comes from here: {asset}");
    }
    let head = client.request("HEAD", "/", &[], b"");
    assert_eq!(head.header("content-length"), page.header("content-length"));
    let refused = client.request("POST", "/", &[], b"x");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    for target in ["/other", "/favicon.ico", "/socket.i", "//"] {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
    assert!(client.get("/socket.io/?EIO=4&transport=polling").text().starts_with("0{"));
}

#[test]
fn the_clients_files_come_from_the_backend() {
    let site = Site::with(&Plan {
        dialect: "engine.io",
        kind: "engine.io",
        path: "/chat/",
        base: "/socket.io/",
        ..Plan::new()
    });
    let mut client = site.client();
    client.send("GET", "/chat/socket.io.min.js?v=4", &[("If-None-Match", "\"4.8\"")], b"");
    let mut line = site.accept();
    let request = line.request();
    assert_eq!(request.line(), "GET /socket.io/socket.io.min.js?v=4 HTTP/1.1");
    assert_eq!(request.header("if-none-match"), Some("\"4.8\""));
    line.reply(&ok("script"));
    client.answer().assert(200, "script");
    // Anything else is for the sessions' own path to answer.
    for target in ["/chat/socket.io.css", "/chat/socket.io.js?EIO=4&transport=other", "/chat/x/socket.io.js"]
    {
        client.get(target).assert_error(400, 0, "Transport unknown");
    }
    assert!(site.counted(200));
    site.assert_quiet();
}

#[test]
fn a_plain_websocket_server_has_no_such_files() {
    let site =
        Site::with(&Plan { dialect: "engine.io", kind: "websocket", path: "/socket.io/", ..Plan::new() });
    site.client().get("/socket.io/socket.io.js").assert_error(400, 0, "Transport unknown");
    site.assert_quiet();
}
