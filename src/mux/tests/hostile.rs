//! A peer that sends any frames at all: a line refuses them or goes on, and what it writes can be read.

use super::*;

/// Has one side of an epoch take frames, as far as it does, and use what comes of them.
pub(crate) fn is_survived(is_proxy: bool, frames: impl Iterator<Item = Frame>) {
    let mut line = if is_proxy { proxy(1000) } else { backend(1000, true) };
    line.connect();
    let mut ids = Vec::new();
    if is_proxy {
        ids.extend((0..3).filter_map(|_| line.open(opening())));
    }
    for frame in frames {
        if matches!(frame, Frame::Drain(0)) {
            // As if the connection broke here.
            line.disconnect();
            line.connect();
            continue;
        }
        if line.handle(frame).is_err() {
            return;
        }
        for event in events(&mut line) {
            match event {
                Event::Asked(id, _) if id.get().is_multiple_of(5) => line.deny(id, denied()),
                Event::Asked(id, _) => {
                    line.accept(id, Accepted::default());
                    ids.push(id);
                }
                Event::Hello
                | Event::Answered(..)
                | Event::Unanswered(..)
                | Event::Unsent(_)
                | Event::Readable(_)
                | Event::Writable(_)
                | Event::Transport(..)
                | Event::Drain(_) => {}
            }
        }
        for id in ids.clone() {
            if !line.is_open(id) {
                continue;
            }
            let is_closed = taken(&mut line, id).iter().any(|notice| matches!(notice, Notice::Closed(_)));
            if is_closed {
                line.close(id, Closing::new(1000, ""));
                ids.retain(|open| *open != id);
            } else if line.poll_room(id) {
                line.send(id, text("hello"));
            }
        }
        while let Some(frame) = line.poll().or_else(|| line.acks()) {
            let read = Profile::Binary.decode(Profile::Binary.encode(&frame));
            assert_eq!(read.as_ref(), Ok(&frame), "what is written can be read");
        }
    }
}
