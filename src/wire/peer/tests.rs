use super::*;
use crate::types::rng::Rng;
use crate::types::{ErrorCode, FeatureRange, TopicId, TopicPartition};
use bytes::Bytes;

fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId([9; 16]), partition }
}

fn all() -> Vec<PeerMessage> {
    let register = Register {
        directory: 1 << 100 | 7,
        kafka: ("here".into(), 9092),
        peer: ("there".into(), 9292),
        rack: Some("r".into()),
        shards: 7,
        features: Some([("f".to_owned(), FeatureRange { min: 1, max: 7 })].into()),
    };
    let member = Member { node: 3, incarnation: u64::MAX };
    let change = IsrChange { tp: tp(4), leader_epoch: 5, partition_epoch: 6, isr: vec![member] };
    let body = Bytes::from_static(b"body");
    let ask = |call| PeerMessage::Ask { number: 8, call };
    let answer = |outcome| PeerMessage::Answer { number: 9, outcome };
    let start = |start| StreamStarted { stream: 2, start };
    let welcome =
        |proof| PeerMessage::Welcome(Welcome { version: 1, incarnation: 78, shards: 2, proof });
    let frame = |length| FrameOf { stream: 1, length, high_watermark: 10, log_start: 2 };
    vec![
        PeerMessage::Hello(Hello {
            versions: (1, 2),
            cluster_id: "c".into(),
            node: 1,
            incarnation: 77,
            shards: 4,
            shard: 3,
            to: 2,
            nonce: None,
        }),
        PeerMessage::Hello(Hello {
            versions: (1, 1),
            cluster_id: String::new(),
            node: 1,
            incarnation: 77,
            shards: 1,
            shard: 0,
            to: Hello::ANYBODY,
            nonce: Some([5; 32]),
        }),
        PeerMessage::Challenge([6; 32]),
        PeerMessage::Proof([7; 32]),
        PeerMessage::Cluster(ClusterMap {
            cluster_id: "c".into(),
            voters: vec![1, 3],
            brokers: vec![ClusterNode {
                node: 1,
                directory: 1 << 90,
                peer: ("there".into(), 9292),
                fenced: true,
            }],
            proof: Some([9; 32]),
        }),
        welcome(None),
        welcome(Some([8; 32])),
        PeerMessage::Refused("no".into()),
        PeerMessage::Quorum(body.clone()),
        ask(Call::Register(register)),
        ask(Call::Heartbeat { applied: 11, wants_shutdown: true, lacks_space: false }),
        ask(Call::Heartbeat { applied: 12, wants_shutdown: false, lacks_space: true }),
        ask(Call::AlterIsr(vec![change])),
        ask(Call::ChangeMetadata { api: 19, version: 7, body: body.clone() }),
        ask(Call::AutoCreate(vec!["a".into(), "b".into()])),
        ask(Call::TakeProducerIds),
        answer(Outcome::NotController),
        answer(Outcome::Standing {
            error: ErrorCode::STALE_BROKER_EPOCH,
            message: Some("why".into()),
            fenced: true,
            may_shut_down: true,
        }),
        answer(Outcome::IsrAltered(vec![ErrorCode::NONE, ErrorCode::FENCED_LEADER_EPOCH])),
        answer(Outcome::MetadataChanged { index: 12, body: Some(body.clone()) }),
        answer(Outcome::MetadataChanged { index: 12, body: None }),
        answer(Outcome::ProducerIds { first: 1_000, count: 10 }),
        PeerMessage::Subscribe(vec![StreamStart {
            tp: tp(1),
            stream: 2,
            leader_epoch: 3,
            end: 4,
            last_epoch: -1,
        }]),
        PeerMessage::Subscribed(vec![
            start(Start::GoOn { high_watermark: 3 }),
            start(Start::TruncateTo { epoch: 2, offset: 9 }),
            start(Start::RestartAt(100)),
            start(Start::Refused(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
        ]),
        PeerMessage::Frames(vec![frame(3), frame(1)], body),
        PeerMessage::Watermarks(vec![Watermark { stream: 1, high_watermark: 2, log_start: 1 }]),
        PeerMessage::Durable(vec![DurableEnd { stream: 1, end: 7 }]),
        PeerMessage::Credit(1 << 40),
        PeerMessage::Stop(vec![StreamStop { stream: 1, error: ErrorCode::KAFKA_STORAGE_ERROR }]),
    ]
}

fn bytes_of(messages: &[PeerMessage]) -> Vec<u8> {
    messages.iter().flat_map(|it| <[Bytes; 2]>::from(encode(it)).concat()).collect()
}

#[test]
fn what_is_sent_comes_as_it_was_however_it_is_cut() {
    let (messages, mut rng) = (all(), Rng::new(1));
    let bytes = bytes_of(&messages);
    for _ in 0..50 {
        let (mut assembler, mut seen, mut rest) = (Assembler::default(), Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let n = rng.between(1, 100).min(rest.len() as u64) as usize;
            assembler.put(&rest[..n]);
            rest = &rest[n..];
            while let Some(message) = assembler.take().unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(seen, messages);
    }
}

#[test]
fn a_preamble_is_read_or_refused() {
    for lane in [Lane::Control, Lane::Data] {
        let it = Preamble { shard: 500, lane };
        assert_eq!(Preamble::decode(&it.encode()), Some(it));
        for at in (0..6).chain(8..PREAMBLE) {
            let mut bytes = it.encode();
            bytes[at] ^= 0x12;
            assert_eq!(Preamble::decode(&bytes), None, "{at}");
        }
    }
    assert_eq!(Preamble::decode(b"GET /metrics HTT"), None);
}

#[test]
fn damaged_bytes_are_refused_and_claim_no_memory() {
    let (whole, mut rng) = (bytes_of(&all()), Rng::new(2));
    for _ in 0..5_000 {
        let mut bytes = whole.clone();
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.index(8);
        let mut assembler = Assembler::default();
        assembler.put(&bytes);
        let (mut seen, mut refused) = (Vec::new(), false);
        loop {
            match assembler.take() {
                Ok(Some(message)) => seen.push(message),
                Ok(None) => break,
                Err(_) => {
                    refused = true;
                    break;
                }
            }
        }
        // A payload has checksums of its own.
        assert!(refused || seen.len() == all().len(), "{at}");
    }
    // Sound bytes of nonsense.
    for _ in 0..5_000 {
        let (table, _) = encode(&all()[rng.index(all().len())]);
        let mut table = table[framing::HEADER..].to_vec();
        for _ in 0..rng.between(1, 4) {
            let at = rng.index(table.len());
            table[at] = rng.bits() as u8;
        }
        let _ = decode(&table, Bytes::new());
    }
    let mut assembler = Assembler::default();
    assembler.put(&framing::header(&vec![0; 1 << 20], 200 << 20));
    assert!(assembler.spare().len() < 1 << 20, "what is announced claims no memory");
}

#[test]
fn what_no_message_has_is_refused() {
    let negative = PeerMessage::Subscribe(vec![StreamStart {
        tp: tp(-1),
        stream: 0,
        leader_epoch: 0,
        end: 0,
        last_epoch: 0,
    }]);
    let short = PeerMessage::Frames(
        vec![FrameOf { stream: 0, length: 5, high_watermark: 0, log_start: 0 }],
        Bytes::from_static(b"four"),
    );
    for message in [negative, short] {
        let mut assembler = Assembler::default();
        assembler.put(&bytes_of(&[message]));
        assert!(matches!(assembler.take(), Err(PeerError::Nonsense(_))));
    }
    let mut assembler = Assembler::default();
    assembler.put(&framing::header(b"", 400 << 20));
    assert!(matches!(assembler.take(), Err(PeerError::TooLong(_))));
}

#[test]
fn generated_code_is_that_of_the_schema() {
    let schema = include_bytes!("../../../schemas/peer.fbs");
    let generated = include_str!("generated/peer.rs");
    let expected = format!("// CRC-32C of schemas/peer.fbs: {:08x}", crc32c::crc32c(schema));
    assert_eq!(
        generated.lines().next(),
        Some(expected.as_str()),
        "schemas/peer.fbs changed: run the `flatc` of crate flatc-fork 0.6.0+25.12.19 as \
         `flatc --rust -o src/wire/peer/generated schemas/peer.fbs`, rename the output to peer.rs, \
         and put this line above it"
    );
}
