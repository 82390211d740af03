//! What reading and writing Engine.IO costs: packets, payloads and the open packet, without any I/O.

#![expect(clippy::missing_docs_in_private_items, reason = "a benchmark has no reader but its own")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use polliwog::codec::engineio::{
    OpenPacket, Payload, decode_text, encode_frame, encode_payload, encode_text, encoded_len,
};
use polliwog::packet::{Message, Packet, Text};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    payloads(&mut criterion);
    frames(&mut criterion);
    open_packet(&mut criterion);
    criterion.final_summary();
}

fn payloads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("payload");
    for (name, packets) in batches() {
        let body = encode_payload(&packets);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("encode", name), &packets, |bencher, packets| {
            bencher.iter(|| encode_payload(packets));
        });
        group.bench_with_input(BenchmarkId::new("decode", name), &body, |bencher, body| {
            bencher.iter(|| {
                Payload::new(body.clone()).filter_map(Result::ok).map(|packet| packet.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for (name, packet) in [
        ("text of 32 bytes", text(32)),
        ("text of 100 kB", text(100_000)),
        ("binary of 32 bytes", binary(32)),
    ] {
        group.throughput(Throughput::Bytes(packet.len() as u64));
        group.bench_with_input(BenchmarkId::new("encode", name), &packet, |bencher, packet| {
            bencher.iter(|| encode_frame(packet));
        });
        let mut encoded = Vec::with_capacity(encoded_len(&packet));
        encode_text(&packet, &mut encoded);
        let encoded = Text::lossy(Bytes::from(encoded));
        group.bench_with_input(BenchmarkId::new("decode", name), &encoded, |bencher, encoded| {
            bencher.iter(|| decode_text(encoded.clone()));
        });
    }
    group.finish();
}

fn open_packet(criterion: &mut Criterion) {
    let open = OpenPacket {
        sid: "1AAAAAAAAAAAAAAAAAAAA".to_owned(),
        upgrades: true,
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_secs(20),
        max_payload: Some(1_000_000),
    };
    let json = open.encode();
    let mut group = criterion.benchmark_group("open packet");
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&open).encode()));
    group.bench_function("decode", |bencher| bencher.iter(|| OpenPacket::decode(black_box(&json))));
    group.finish();
}

fn batches() -> Vec<(&'static str, Vec<Packet>)> {
    vec![
        ("1 x 32 bytes", vec![text(32)]),
        ("10 x 32 bytes", vec![text(32); 10]),
        ("100 x 32 bytes", vec![text(32); 100]),
        ("1 x 100 kB", vec![text(100_000)]),
        ("10 x 32 bytes binary", vec![binary(32); 10]),
        ("1 x 100 kB binary", vec![binary(100_000)]),
    ]
}

fn text(len: usize) -> Packet {
    Packet::Message(Message::text("x".repeat(len)))
}

fn binary(len: usize) -> Packet {
    Packet::Message(Message::Binary(Bytes::from(vec![0xa5; len])))
}
