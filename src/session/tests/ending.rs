//! How a session reports its end to its client, and afterwards.

use super::*;

#[test]
fn a_goodbye_says_why_where_the_dialect_can() {
    let begin = || {
        let policy = Policy { why: Some(End::reason), ..policy(HangUp::Ends) };
        let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
        assert_eq!(rig.fetch(), [open()]);
        rig
    };
    let says = |closing: &Closing| Packet::Close(Some(Box::new(closing.clone())));
    let closing = Closing::new(4001, "enough");

    let mut waiting = begin();
    waiting.poll();
    waiting.session.handle_upstream_closed(closing.clone(), waiting.now);
    assert_eq!(waiting.events(), [answer(&[says(&closing)]), Event::Ended(End::UpstreamClosed)]);

    let mut late = begin();
    late.say("a");
    late.session.handle_upstream_closed(closing.clone(), late.now);
    assert_eq!(late.fetch(), [message("a")]);
    assert_eq!(late.poll(), [answer(&[Packet::Noop, says(&closing)]), Event::Ended(End::UpstreamClosed)]);

    let mut drained = begin();
    drained.poll();
    drained.session.handle_drain(KEEP_ALIVE, drained.now);
    assert_eq!(drained.events()[0], answer(&[says(&End::Drained.closing())]));
}

#[test]
fn a_session_that_its_client_never_heard_of_is_forgotten_at_its_end() {
    let policy = Policy { why: Some(End::reason), remembered: MS, ..policy(HangUp::Ends) };
    let begin = || Rig::begin_with(policy, Settings::default(), Transport::Polling);
    let mut gone = begin();
    gone.poll();
    gone.session.handle_lost(vec![open()], gone.now);
    assert_eq!(gone.session.ending().unwrap().closing, End::ClientGone.closing());
    assert_eq!(gone.session.remembered(), None, "its client may come again under the same id");

    let mut told = begin();
    assert_eq!(told.fetch(), [open()]);
    told.poll();
    told.session.handle_poll_gone(told.now);
    assert_eq!(told.session.ending().unwrap().closing, End::ClientGone.closing());
    assert_eq!(told.session.remembered(), Some(MS));
}

#[test]
fn where_clients_have_text_alone_what_is_binary_becomes_text_or_is_the_end() {
    let policy = Policy { binary: Binary::AsText, why: Some(End::reason), ..policy(HangUp::Ends) };
    let mut rig = Rig::begin_with(policy, Settings::default(), Transport::Polling);
    assert_eq!(rig.fetch(), [open()]);
    let says = |rig: &mut Rig, bytes: &'static [u8]| {
        rig.session.handle_upstream(Message::Binary(bytes.into()), rig.now);
        rig.events()
    };
    assert_eq!(says(&mut rig, "é".as_bytes()), []);
    let closing = Closing::new(1003, "binary data");
    assert_eq!(says(&mut rig, b"\xff"), [Event::CloseLink(closing.clone())]);
    assert!(!rig.session.wants_upstream());
    assert_eq!(rig.fetch(), [message("é")], "what came before it arrives");
    let why = Packet::Close(Some(Box::new(closing)));
    assert_eq!(rig.poll(), [answer(&[Packet::Noop, why]), Event::Ended(End::UpstreamClosed)]);
    assert!(rig.session.is_over(), "its backend is not let go twice");
}
