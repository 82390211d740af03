//! Polls and POSTs: one of each, answered in order, and lost as the policy says.

use super::*;

fn gone(end: End) -> [Event; 2] {
    [Event::Ended(end), closes_link(end)]
}

#[test]
fn a_parked_poll_is_answered_by_the_first_message() {
    let mut rig = Rig::polling();
    assert_eq!(rig.poll(), []);
    assert!(rig.session.is_parked());
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    assert!(!rig.session.is_parked());
}

#[test]
fn a_poll_brings_all_that_waited_in_order() {
    let mut rig = Rig::polling();
    for text in ["a", "b", "c"] {
        rig.say(text);
    }
    assert_eq!(rig.fetch(), messages(&["a", "b", "c"]));
}

#[test]
fn a_batch_is_cut_at_batch_max_and_a_larger_message_goes_alone() {
    let settings = Settings { batch_max: 10, ..Settings::default() };
    let mut rig = Rig::polling_with(HangUp::Ends, settings);
    for text in ["1234", "5678", "9", "larger than a batch", "0"] {
        rig.say(text);
    }
    // "4" and four characters, a separator, and the same again are eleven bytes.
    assert_eq!(rig.fetch(), messages(&["1234"]));
    assert_eq!(rig.fetch(), messages(&["5678", "9"]));
    assert_eq!(rig.fetch(), messages(&["larger than a batch"]));
    assert_eq!(rig.fetch(), messages(&["0"]));
}

#[test]
fn a_second_poll_gets_nothing_before_the_first_batch_is_written() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.poll();
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    assert_eq!(rig.say("b"), []);
    assert_eq!(rig.poll(), []);
    rig.session.handle_delivered();
    assert_eq!(rig.events(), [answer(&messages(&["b"]))]);
}

#[test]
fn a_second_poll_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.handle_poll(rig.now), Err(PollRefused::Overlap));
    assert_eq!(
        rig.events(),
        [answer(&[Packet::Close(None)]), Event::Ended(End::Overlap), closes_link(End::Overlap)]
    );
    assert!(rig.session.is_over());
    assert_eq!(rig.session.handle_poll(rig.now), Err(PollRefused::Over));
    assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::Over));
}

#[test]
fn a_second_post_destroys_the_first_and_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::Overlap));
    let [ended, closed] = gone(End::Overlap);
    assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), DESTROYED, ended, closed]);
    assert!(rig.session.is_over());
}

#[test]
fn a_post_that_is_overlapped_while_it_waits_is_destroyed_and_still_handed_over() {
    let mut rig = Rig::polling();
    assert_eq!(rig.push(messages(&["a", "b"])), []);
    assert_eq!(rig.session.handle_push_begun(rig.now), Err(PushRefused::Overlap));
    assert_eq!(rig.events(), [DESTROYED, Event::Ended(End::Overlap)]);
    assert_eq!(rig.taken(), messages(&["a", "b"]));
    assert_eq!(rig.events(), [closes_link(End::Overlap)]);
}

#[test]
fn posts_behind_each_other_are_no_overlap() {
    let mut rig = Rig::polling();
    for text in ["a", "b"] {
        assert_eq!(rig.push(messages(&[text])), []);
        assert_eq!(rig.taken(), messages(&[text]));
        assert_eq!(rig.events(), [ACCEPTED]);
    }
}

#[test]
fn a_post_is_accepted_when_the_link_has_taken_its_last_message() {
    let mut rig = Rig::polling();
    assert_eq!(rig.push(messages(&["a", "b"])), []);
    assert!(rig.session.next_for_link(rig.now).is_some());
    assert_eq!(rig.events(), []);
    assert!(rig.session.next_for_link(rig.now).is_some());
    assert_eq!(rig.events(), [ACCEPTED]);
    assert_eq!(rig.session.next_for_link(rig.now), None);
}

#[test]
fn a_post_without_messages_is_accepted_at_once() {
    let mut rig = Rig::polling();
    assert_eq!(rig.push(vec![pong(), Packet::Noop]), [ACCEPTED]);
}

#[test]
fn a_poll_that_hangs_up_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), gone(End::ClientGone));
    assert!(rig.session.is_over());
}

#[test]
fn a_batch_that_was_never_written_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    rig.say("a");
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.events(), gone(End::ClientGone));
}

#[test]
fn elsewhere_a_poll_that_hangs_up_is_forgotten() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.poll();
    rig.session.handle_poll_gone(rig.now);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.say("a"), []);
    assert_eq!(rig.fetch(), messages(&["a"]));
}

#[test]
fn elsewhere_a_batch_that_was_never_written_is_delivered_again() {
    let mut rig = Rig::polling_with(HangUp::Returns, Settings::default());
    rig.poll();
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
    rig.say("b");
    assert_eq!(rig.poll(), []);
    rig.session.handle_lost(messages(&["a"]), rig.now);
    assert_eq!(rig.events(), [answer(&messages(&["a", "b"]))]);
}

#[test]
fn a_post_whose_body_breaks_off_ends_the_session() {
    let mut rig = Rig::polling();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    rig.session.handle_push_broken(rig.now);
    assert_eq!(rig.events(), gone(End::ClientGone));
}

#[test]
fn a_post_that_is_too_large_leaves_the_session_alone() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    rig.session.handle_push_too_large();
    assert_eq!(rig.events(), []);
    assert_eq!(rig.push(vec![pong()]), [ACCEPTED]);
    assert_eq!(rig.say("a"), [answer(&messages(&["a"]))]);
}

#[test]
fn a_post_of_an_unknown_kind_ends_the_session() {
    let mut rig = Rig::polling();
    rig.poll();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    rig.session.handle_push_invalid(rig.now);
    let [ended, closed] = gone(End::ParseError);
    assert_eq!(rig.events(), [answer(&[Packet::Close(None)]), ended, closed]);
}

#[test]
fn a_post_that_was_ended_already_ends_nothing_more() {
    let mut rig = Rig::polling();
    rig.probe();
    assert_eq!(rig.session.handle_push_begun(rig.now), Ok(()));
    rig.session.handle_probe_packet(&Packet::Upgrade, rig.now);
    assert_eq!(rig.events(), [DESTROYED, Event::Adopt]);
    rig.session.handle_push_invalid(rig.now);
    rig.session.handle_push_broken(rig.now);
    assert_eq!(rig.events(), []);
}
