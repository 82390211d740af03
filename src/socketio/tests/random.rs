//! Any sequence of messages on both sides: no panic, attachments directly after their header, and in order.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::packet::Head;
use super::*;

/// Returns a packet with its attachments, or rarely something else.
fn any_packet() -> impl Strategy<Value = Vec<Message>> {
    let namespace = prop_oneof![3 => Just(""), 3 => Just("/a,"), 3 => Just("/b,"), 1 => Just("/a?x=y&z,"), 1 => Just("/b"), 1 => Just("/,")];
    let data = prop_oneof![
        Just(String::new()),
        Just("{}".to_owned()),
        Just(r#"{"sid":"s","message":"m"}"#.to_owned()),
        Just(r#"["e"]"#.to_owned()),
        Just("\"text\"".to_owned()),
        ".{0,9}",
    ];
    let head = ("0|0|0|[1-4]", namespace.clone(), "[0-9]{0,2}", data);
    let head =
        head.prop_map(|(kind, namespace, id, data)| Message::text(format!("{kind}{namespace}{id}{data}")));
    let binary = any::<Vec<u8>>().prop_map(|bytes| Message::Binary(bytes.into()));
    let attachments = prop::collection::vec(binary.clone(), 0..4);
    let with_attachments = ("[56]", namespace, attachments).prop_map(|(kind, namespace, attachments)| {
        let head = Message::text(format!("{kind}{}-{namespace}[]", attachments.len()));
        std::iter::once(head).chain(attachments).collect()
    });
    prop_oneof![
        60 => head.prop_map(|head| vec![head]),
        30 => with_attachments,
        1 => binary.prop_map(|binary| vec![binary]),
        1 => any::<String>().prop_map(|text| vec![Message::text(text)]),
    ]
}

/// Returns the messages of one side.
fn any_side() -> impl Strategy<Value = VecDeque<Message>> {
    prop::collection::vec(any_packet(), 0..30).prop_map(|packets| packets.into_iter().flatten().collect())
}

/// Attachments that one side still expects.
#[derive(Default)]
struct Owed(u32);

impl Owed {
    fn hear(&mut self, message: &Message) {
        match message {
            Message::Binary(_) => self.0 = self.0.checked_sub(1).expect("an attachment has a head"),
            Message::Text(text) => {
                assert_eq!(self.0, 0, "nothing comes between a head and its attachments");
                self.0 = Head::read(text.as_bytes()).expect("only packets go out").attachments;
            }
        }
    }
}

/// Has a translator take messages, each with whether it is the client's, and panics if a side gets what is no packet.
pub(crate) fn both_get_whole_packets(old: bool, messages: impl Iterator<Item = (bool, Message)>) {
    let mut translator = if old { Translator::old_client() } else { Translator::new_client("eio") };
    let (mut to_client, mut to_backend) = (Owed::default(), Owed::default());
    let (mut roots, mut is_over) = (0, false);
    for (from_client, message) in messages {
        if from_client {
            translator.handle_client(message);
        } else {
            translator.handle_backend(message);
        }
        for out in drain(&mut translator) {
            assert!(!is_over, "nothing comes behind a close");
            match out {
                Out::ToClient(message) => to_client.hear(&message),
                Out::ToBackend(message) => to_backend.hear(&message),
                Out::Root(_) => roots += 1,
                Out::Close(_) => is_over = true,
            }
        }
    }
    assert!(roots <= u32::from(old));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_two_sides_get_whole_packets(
        old: bool,
        is_ready: bool,
        sides in [any_side(), any_side()],
        turns in prop::collection::vec(any::<bool>(), 60),
    ) {
        let beginning = if old { r#"0{"sid":"s"}"# } else { "0" };
        let [mut client, mut backend] = sides;
        if is_ready {
            backend.push_front(Message::text(beginning));
        }
        let messages = turns.into_iter().filter_map(|from_client| {
            let side = if from_client { &mut client } else { &mut backend };
            Some((from_client, side.pop_front()?))
        });
        both_get_whole_packets(old, messages);
    }
}
