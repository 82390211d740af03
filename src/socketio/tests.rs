//! Conversations recorded from the reference's clients and servers, the rules one by one, and hostile sequences.

mod captured;
mod pairs;
pub(crate) mod random;
mod rules;

use super::*;
use crate::packet::Message;

/// Plays a conversation, one message per line, with its outputs in the lines below:
///
/// ```text
/// C the client sends      < the client gets      root  the handshake's answer
/// B the backend sends     > the backend gets     close the end
/// ```
///
/// A `#` begins a binary message.
fn play(mut translator: Translator, conversation: &str) -> Translator {
    let expected: Vec<&str> = conversation.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(!expected.is_empty(), "a conversation has lines");
    let mut heard = drain(&mut translator).iter().map(shown).collect::<Vec<_>>();
    for line in &expected {
        match line.split_once(' ') {
            Some(("C", sent)) => translator.handle_client(message(sent)),
            Some(("B", sent)) => translator.handle_backend(message(sent)),
            _ => continue,
        }
        heard.push((*line).to_owned());
        heard.extend(drain(&mut translator).iter().map(shown));
    }
    assert_eq!(heard, expected);
    translator
}

fn message(line: &str) -> Message {
    line.strip_prefix('#')
        .map_or_else(|| Message::text(line), |bytes| Message::Binary(bytes.to_owned().into_bytes().into()))
}

fn shown(out: &Out) -> String {
    match out {
        Out::ToClient(message) => format!("< {}", told(message)),
        Out::ToBackend(message) => format!("> {}", told(message)),
        Out::Root(Ok(sid)) => format!("root {}", sid.as_str()),
        Out::Root(Err(data)) => format!("root refused {}", data.as_str()),
        Out::Close(fault) => format!("close {fault:?}"),
    }
}

fn told(message: &Message) -> String {
    match message {
        Message::Text(text) => text.as_str().to_owned(),
        Message::Binary(bytes) => format!("#{}", String::from_utf8_lossy(bytes)),
    }
}

fn drain(translator: &mut Translator) -> Vec<Out> {
    std::iter::from_fn(|| translator.poll()).collect()
}

/// Returns a translator whose client and backend are connected to the root.
fn old_client() -> Translator {
    let meeting = r#"
        > 0
        B 0{"sid":"id"}
        root id
        < 0
    "#;
    play(Translator::old_client(), meeting)
}

fn new_client() -> Translator {
    let meeting = r#"
        B 0
        C 0
        < 0{"sid":"eio"}
    "#;
    play(Translator::new_client("eio"), meeting)
}
