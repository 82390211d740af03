//! What each translator does while one side is not ready for the other.

use super::super::output::Fault;
use super::*;

#[test]
fn an_old_client_hears_that_the_root_is_refused() {
    let conversation = r#"
        > 0
        B 4{"message":"denied","data":{"code":7}}
        root refused {"code":7}
        < 4{"code":7}
        C 2["lost"]
        C 0/?token=x,
        > 0{"token":"x"}
        B 0{"sid":"id"}
        < 0
        C 2["heard"]
        > 2["heard"]
    "#;
    play(Translator::old_client(), conversation);
}

#[test]
fn what_an_old_backend_lets_pass_never_reaches_the_new_one() {
    let conversation = r#"
        C 0
        C 4"an error"
        C 2/nsp,["not connected"]
        C 51-/nsp,["nor this",{"_placeholder":true,"num":0}]
        C #an attachment
        C 1/nsp,
        C 0/nsp?a=1,
        > 0/nsp,{"a":"1"}
        C 0/nsp?a=2,
        C 2/nsp,["too early"]
        B 0/nsp,{"sid":"other"}
        < 0/nsp,
        C 0/nsp,
        < 0/nsp,
        B 0/nsp,{"sid":"other"}
        C 1/nsp,
        > 1/nsp,
        C 2/nsp,["too late"]
        C 0/nsp
        > 0/nsp,
    "#;
    play(old_client(), conversation);
}

#[test]
fn a_backend_of_the_old_version_is_found_out() {
    play(Translator::old_client(), "> 0\nB 0\nclose OldBackend");
}

#[test]
fn an_answer_of_ours_waits_until_the_attachments_are_through() {
    let conversation = r#"
        C 0/nsp,
        > 0/nsp,
        B 0/nsp,{"sid":"other"}
        < 0/nsp,
        B 52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        < 52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        C 0/nsp,
        B #1
        < #1
        C 2["meanwhile"]
        > 2["meanwhile"]
        B #2
        < #2
        < 0/nsp,
        B 2["behind"]
        < 2["behind"]
    "#;
    play(old_client(), conversation);
}

#[test]
fn a_client_that_keeps_asking_while_an_attachment_is_owed_is_let_go() {
    let mut translator = play(old_client(), "C 0/nsp,\n> 0/nsp,\nB 0/nsp,{\"sid\":\"x\"}\n< 0/nsp,");
    translator.handle_backend(Message::text("51-[]"));
    let mut asked = 0;
    drain(&mut translator);
    while drain(&mut translator).is_empty() {
        asked += 1;
        assert!(asked < 10_000, "nothing bounds what waits");
        translator.handle_client(Message::text("0/nsp,"));
    }
    assert_eq!(drain(&mut translator), []);
    translator.handle_backend(Message::Binary("x".into()));
    assert_eq!(drain(&mut translator), []);
}

#[test]
fn the_root_is_answered_when_both_sides_are_ready() {
    let conversation = r#"
        C 0{"ignored":"at first"}
        C 0
        C 0/nsp,{"a":"b"}
        B 0
        > 0/nsp?a=b,
        < 0{"sid":"eio"}
        B 0
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#eio"}
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn a_client_that_wants_no_root_hears_nothing_of_it() {
    let conversation = r#"
        B 0
        B 2["for the root"]
        C 0/nsp,
        > 0/nsp,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#eio"}
        B 51-/nsp,["e",{"_placeholder":true,"num":0}]
        < 51-/nsp,["e",{"_placeholder":true,"num":0}]
        B #1
        < #1
        C 2["not connected there"]
        C 1
        B 2/other,["never asked for"]
        B 0/other,
        B 4/other,"no"
        B 1/other,
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn what_came_for_the_root_follows_its_answer() {
    let conversation = r#"
        B 0
        B 2["first"]
        B 52-["second",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        B #1
        C 0
        < 0{"sid":"eio"}
        < 2["first"]
        < 52-["second",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        < #1
        C 0/?a
        B #2
        < #2
        < 4/?a,{"message":"Invalid namespace"}
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn only_the_beginning_is_kept_for_a_root_that_nobody_asks_for() {
    let mut translator = Translator::new_client("eio");
    translator.handle_backend(Message::text("0"));
    for at in 0..100_000 {
        translator.handle_backend(Message::text(format!("51-{at}[]")));
        translator.handle_backend(Message::Binary(vec![0; 7].into()));
    }
    // The last one's attachment is still to come.
    translator.handle_backend(Message::text("51-[]"));
    assert_eq!(drain(&mut translator), []);
    translator.handle_client(Message::text("0"));
    let handed = drain(&mut translator);
    assert_eq!(handed[0], Out::ToClient(Message::text(r#"0{"sid":"eio"}"#)));
    assert!(handed.len() > 100 && handed.len() < 1000, "{} messages", handed.len());
    for (at, pair) in handed[1..].chunks(2).enumerate() {
        assert_eq!(pair[0], Out::ToClient(Message::text(format!("51-{at}[]"))));
        assert_eq!(pair[1], Out::ToClient(Message::Binary(vec![0; 7].into())));
    }
    play(translator, "B #lost with its head\nB 2[\"heard\"]\n< 2[\"heard\"]");
}

#[test]
fn a_packet_that_does_not_fit_is_dropped_with_its_attachments() {
    let mut translator = Translator::new_client("eio");
    translator.handle_backend(Message::text("0"));
    translator.handle_backend(Message::text("2[]"));
    translator.handle_backend(Message::text("53-[]"));
    translator.handle_backend(Message::Binary("a".into()));
    translator.handle_backend(Message::Binary(vec![0; 100_000].into()));
    let conversation = r#"
        C 0
        < 0{"sid":"eio"}
        < 2[]
        B #c
        B 2["on"]
        < 2["on"]
    "#;
    play(translator, conversation);
}

#[test]
fn a_root_that_is_taken_away_at_once_is_seen_to_come_and_go() {
    let conversation = r#"
        B 0
        B 2["unauthorized"]
        B 1
        C 0/nsp,
        < 4/nsp,{"message":"The backend refused the root namespace"}
        C 0
        < 0{"sid":"eio"}
        < 2["unauthorized"]
        < 1
        C 2["too late"]
        C 0
        close RootLeft
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn a_refused_root_is_asked_for_with_what_the_client_brings() {
    let conversation = r#"
        B 4"no token"
        C 0/nsp,
        < 4/nsp,{"message":"The backend refused the root namespace"}
        C 0{"token":"x y"}
        > 0/?token=x%20y,
        C 0/nsp,{"a":1}
        B 0
        > 0/nsp?a=1,
        < 0{"sid":"eio"}
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn a_client_that_asked_early_is_tried_once_with_what_it_brought() {
    let conversation = r#"
        C 0{"token":"x"}
        C 0/nsp,
        B 4"no token"
        > 0/?token=x,
        B 4"bad token"
        < 4{"message":"bad token"}
        < 4/nsp,{"message":"The backend refused the root namespace"}
        C 0
        > 0
        B 4"no token"
        < 4{"message":"no token"}
        C 0{"token":"good"}
        > 0/?token=good,
        B 0
        < 0{"sid":"eio"}
    "#;
    play(Translator::new_client("eio"), conversation);
}

#[test]
fn a_namespace_can_be_left_and_come_back_to_but_not_past_the_root() {
    let conversation = r#"
        C 0/nsp,
        > 0/nsp,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#eio"}
        C 1/nsp,
        > 1/nsp,
        B 2/nsp,["crossed"]
        C 0/nsp,
        > 0/nsp,
        B 1/nsp,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#eio"}
        C 1
        > 1
        C 2/nsp,["still there"]
        > 2/nsp,["still there"]
        C 0/other,
        close RootLeft
    "#;
    play(new_client(), conversation);
}

#[test]
fn an_error_in_a_connected_namespace_is_an_event() {
    let conversation = r#"
        C 0/nsp,
        > 0/nsp,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#eio"}
        B 4/nsp,{"code":1}
        < 2/nsp,["error",{"code":1}]
        B 4"no"
        < 2["error","no"]
        C 2/nsp,["on"]
        > 2/nsp,["on"]
    "#;
    play(new_client(), conversation);
}

#[test]
fn a_new_client_is_held_to_the_rules_of_its_version() {
    for (sent, close) in [
        ("C 2[\"first\"]", "NotConnected"),
        ("C 1", "NotConnected"),
        ("C 4\"error\"", "Malformed(Client)"),
        ("C 0[]", "Malformed(Client)"),
        ("C 0{", "Malformed(Client)"),
    ] {
        play(Translator::new_client("eio"), &format!("B 0\n{sent}\nclose {close}"));
    }
    play(new_client(), "C 0\nclose ConnectedTwice");
    play(
        new_client(),
        "C 0/n,\n> 0/n,\nC 0/n,\nB 0/n,\n< 0/n,{\"sid\":\"/n#eio\"}\nC 0/n,\nclose ConnectedTwice",
    );
}

#[test]
fn what_is_no_packet_ends_it() {
    for translator in [old_client, new_client] {
        for (side, peer) in [("C", "Client"), ("B", "Backend")] {
            play(translator(), &format!("{side} #msgpack\nclose Parser({peer})"));
            play(translator(), &format!("{side} 9\nclose Malformed({peer})\n{side} 2[]"));
            let out = if side == "C" { ">" } else { "<" };
            play(translator(), &format!("{side} 51-[]\n{out} 51-[]\n{side} 2[]\nclose Malformed({peer})"));
            play(
                translator(),
                &format!("{side} 51-[]\n{out} 51-[]\n{side} #a\n{out} #a\n{side} #b\nclose Parser({peer})"),
            );
        }
    }
}

#[test]
fn a_client_has_so_many_namespaces_and_no_more() {
    for start in [old_client, new_client, || Translator::new_client("eio")] {
        let mut translator = start();
        let mut asked = 0;
        while drain(&mut translator).iter().all(|out| !matches!(out, Out::Close(Fault::TooMuch))) {
            translator.handle_client(Message::text(format!("0/{asked},")));
            asked += 1;
            assert!(asked < 1000, "nothing bounds the namespaces");
        }
        assert!(asked > 200, "{asked} namespaces");
        let mut translator = start();
        translator.handle_client(Message::text(format!("0/{},", "x".repeat(2000))));
        assert_eq!(drain(&mut translator), [Out::Close(Fault::TooMuch)]);
    }
    let mut odd = new_client();
    odd.handle_client(Message::text(format!("0/?{},", "x".repeat(2000))));
    assert_eq!(drain(&mut odd), [Out::Close(Fault::TooMuch)]);
    let mut early = Translator::new_client("eio");
    early.handle_client(Message::text(format!(r#"0/nsp,{{"token":"{}"}}"#, "x".repeat(70_000))));
    assert_eq!(drain(&mut early), [Out::Close(Fault::TooMuch)]);
}
