//! The example of "Write a dialect" works: a session by newlines, from its first request to its last.

use super::*;
use crate::dialect::lines::KIND;

#[tokio::test]
async fn a_session_by_newlines_brings_every_line_there_and_back() {
    let gateway = echo(&KIND, "/x").await;
    let (status, body) = ask(&gateway, "POST /x", "").await;
    let id = body.trim_end();
    assert_eq!((status, id.is_empty()), (201, false));
    let session = format!("/x/{id}");
    assert_eq!(ask(&gateway, &format!("POST {session}"), "one\ntwo\nthree").await, (200, String::new()));
    let mut came = String::new();
    while came.len() < "one\ntwo\nthree\n".len() {
        let (status, lines) = ask(&gateway, &format!("GET {session}"), "").await;
        assert_eq!(status, 200);
        came.push_str(&lines);
    }
    assert_eq!(came, "one\ntwo\nthree\n");
    assert_eq!(ask(&gateway, &format!("DELETE {session}"), "").await, (200, String::new()));
    assert_eq!(ask(&gateway, &format!("GET {session}"), "").await.0, 404);
}

#[tokio::test]
async fn what_is_no_line_harms_no_session() {
    let gateway = echo(&KIND, "/x").await;
    let (_, body) = ask(&gateway, "POST /x", "").await;
    let session = format!("/x/{}", body.trim_end());
    assert_eq!(ask(&gateway, &format!("PUT {session}"), "").await.0, 405);
    assert_eq!(ask(&gateway, "GET /x/unknown", "").await, (404, "no such session\n".to_owned()));
    assert_eq!(ask(&gateway, &format!("POST {session}"), "still here\n").await.0, 200);
    assert_eq!(ask(&gateway, &format!("GET {session}"), "").await, (200, "still here\n".to_owned()));
}

#[test]
fn the_guide_quotes_the_example_to_the_letter() {
    let guide = include_str!("../../../../CONTRIBUTING.md");
    let example = include_str!("../../../dialect/lines.rs");
    let quotes: Vec<&str> =
        guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(quotes.len() >= 4, "the guide quotes {} pieces of the example", quotes.len());
    for quote in quotes {
        assert!(
            example.contains(quote),
            "CONTRIBUTING.md quotes what src/dialect/lines.rs does not say:\n{quote}"
        );
    }
}
