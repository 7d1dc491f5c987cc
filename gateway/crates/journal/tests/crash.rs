//! Whatever happens to the process, every call that began has exactly one record, and the numbers have no gap.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panic")]

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use airside_journal::{Batch, ModelCall, Outcome, Spool, SpoolFault, SpoolOptions};
use airside_metering::Charge;
use proptest::prelude::*;

const SMALL: SpoolOptions = SpoolOptions {
    segment_bytes: 80 << 10,
    max_bytes: 32 << 20,
};

/// A directory of its own that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "airside-spool-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn call(id: u64, outcome: Outcome) -> ModelCall {
    ModelCall {
        snapshot_version: 1,
        outcome,
        status: 200,
        cost_nanousd: id,
        charges: vec![Charge {
            scope: "agent:a".into(),
            window_start: 0,
            nanousd: id,
        }],
        ..ModelCall::accepted(
            format!("call_{id}"),
            "2026-11-23T17:52:28Z".into(),
            "p".into(),
            "openai-chat",
        )
    }
}

/// Everything not acknowledged, in order: sequence, call id, outcome.
fn delivered(spool: &Spool) -> Vec<(u64, String, String)> {
    let mut found = Vec::new();
    spool.rewind();
    loop {
        let mut batch = spool.next_batch(7, 1 << 20).unwrap();
        if batch.last == 0 {
            return found;
        }
        let text = format!("[{}]", String::from_utf8(batch.records.clone()).unwrap());
        let records = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
        are_lines_of_these(&mut batch, &records);
        for record in records {
            let text = |key: &str| record[key].as_str().unwrap().to_owned();
            found.push((record["sequence"].as_u64().unwrap(), text("call_id"), text("outcome")));
        }
        // What comes next is read into the same memory.
        spool.give_back(batch);
    }
}

/// The same records as lines, behind each of their sequences.
fn are_lines_of_these(batch: &mut Batch, records: &[serde_json::Value]) {
    let before = records.first().unwrap()["sequence"].as_u64().unwrap() - 1;
    for known in 0..=records.len() {
        let mut copy = batch.clone();
        let lines = std::str::from_utf8(copy.lines_after(before + known as u64)).unwrap();
        let read: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, records[known..]);
        assert!(lines.is_empty() || lines.ends_with('\n'));
    }
}

fn open(place: &Path) -> Spool {
    Spool::open(place, SMALL).unwrap().0
}

/// Destroy the last bytes written, as a write that was cut short would leave them.
fn tear(place: &Path, bytes: u64) {
    let mut files: Vec<_> = std::fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for path in files.iter().rev() {
        let content = std::fs::read(path).unwrap();
        let Some(end) = content.iter().rposition(|byte| *byte != 0).map(|at| at as u64 + 1) else {
            continue;
        };
        if end <= 20 {
            continue;
        }
        let torn = bytes.min(end - 20);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&vec![0; usize::try_from(torn).unwrap()], end - torn)
            .unwrap();
        return;
    }
}

#[test]
fn records_come_back_in_order_and_are_removed_when_acknowledged() {
    let place = Place::new();
    let spool = open(&place.0);
    for id in 1..=1000 {
        let ticket = spool.begin(&call(id, Outcome::Lost), 500).unwrap();
        assert_eq!(spool.finish(ticket, &call(id, Outcome::Completed)).unwrap(), id);
        if id % 10 == 0 {
            let batch = spool.next_batch(100, 1 << 20).unwrap();
            assert_eq!(batch.last, id);
            spool.acknowledge(batch.last).unwrap();
        }
    }
    assert_eq!(delivered(&spool), []);
    assert_eq!(spool.state().acknowledged, 1000);
    assert!(
        spool.state().bytes <= 3 * SMALL.segment_bytes,
        "delivered segments are removed"
    );
}

#[test]
fn a_file_that_was_delivered_is_used_again_and_what_lay_in_it_is_gone() {
    let place = Place::new();
    let mut spool = open(&place.0);
    let mut files = std::collections::BTreeSet::new();
    for id in 1..=600 {
        let ticket = spool.begin(&call(id, Outcome::Lost), 500).unwrap();
        assert_eq!(spool.finish(ticket, &call(id, Outcome::Completed)).unwrap(), id);
        if id % 7 == 0 {
            let batch = spool.next_batch(100, 1 << 20).unwrap();
            assert_eq!(batch.last, id);
            spool.acknowledge(id).unwrap();
        }
        files.extend(std::fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().path()));
        if id % 50 == 3 {
            // A process that starts now finds what was not acknowledged, and nothing of a file's earlier life.
            drop(spool);
            let (again, recovered) = Spool::open(&place.0, SMALL).unwrap();
            assert_eq!(recovered.lost, 0);
            assert_eq!(again.state().sequence, id);
            let sequences: Vec<u64> = delivered(&again).iter().map(|(sequence, ..)| *sequence).collect();
            assert!(sequences.len() < 60 && sequences.contains(&id), "{sequences:?}");
            assert!(sequences.is_sorted(), "{sequences:?}");
            again.acknowledge(id / 7 * 7).unwrap();
            spool = again;
        }
    }
    assert!(files.len() < 40, "of more than sixty segments: {}", files.len());
}

#[test]
fn a_call_without_an_end_becomes_a_lost_one_once() {
    let place = Place::new();
    let spool = open(&place.0);
    let ticket = spool.begin(&call(1, Outcome::Lost), 500).unwrap();
    spool.finish(ticket, &call(1, Outcome::Completed)).unwrap();
    let _never_finished = spool.begin(&call(2, Outcome::Lost), 500).unwrap();
    drop(spool);
    let (spool, recovered) = Spool::open(&place.0, SMALL).unwrap();
    assert_eq!(recovered.lost, 1);
    let charged: Vec<u64> = recovered.carried.iter().map(|carried| carried.charge.nanousd).collect();
    assert_eq!(charged, [1, 2]);
    drop(spool);
    let (spool, recovered) = Spool::open(&place.0, SMALL).unwrap();
    assert_eq!(recovered.lost, 0);
    let expected = [
        (1, "call_1".to_owned(), "completed".to_owned()),
        (2, "call_2".to_owned(), "lost".to_owned()),
    ];
    assert_eq!(delivered(&spool), expected);
}

/// A call with everything that is known when it begins.
fn rich_call() -> ModelCall {
    ModelCall {
        session_id: Some("sess_1".into()),
        agent_name: Some("\"reviewer\"".into()),
        agent_version: Some(12_345_678_901),
        model: Some("fast".into()),
        task: Some("main"),
        stream: true,
        trace_id: Some("0123456789abcdef0123456789abcdef".into()),
        route_step: Some(0),
        route_reason: Some("the only target".into()),
        error_code: Some("gateway_died"),
        hold_nanousd: 77_000_000_000,
        ..call(1, Outcome::Lost)
    }
}

fn whole(spool: &Spool) -> Vec<serde_json::Value> {
    let batch = spool.next_batch(10, 1 << 20).unwrap();
    let read = batch.each().map(|(_, record)| serde_json::from_slice(record).unwrap());
    read.collect()
}

fn numbered(call: &ModelCall, sequence: u64) -> serde_json::Value {
    let mut value = serde_json::to_value(call).unwrap();
    value["sequence"] = sequence.into();
    value
}

#[test]
fn a_record_is_what_its_call_was_whether_it_ended_or_not() {
    let place = Place::new();
    let spool = open(&place.0);
    let opened = rich_call();
    let ended = ModelCall {
        outcome: Outcome::Completed,
        error_code: None,
        provider: Some("anthropic".into()),
        cost_nanousd: 9_876_543_210,
        ..opened.clone()
    };
    let _never_finished = spool.begin(&opened, 500).unwrap();
    let ticket = spool.begin(&opened, 500).unwrap();
    spool.finish(ticket, &ended).unwrap();
    drop(spool);
    assert_eq!(whole(&open(&place.0)), [numbered(&ended, 1), numbered(&opened, 2)]);
}

/// A frame as version 1 of the file lays it out.
fn frame(kind: u8, open_id: u64, sequence: u64, payload: &str) -> Vec<u8> {
    let mut checked = vec![kind];
    checked.extend_from_slice(&open_id.to_le_bytes());
    checked.extend_from_slice(&sequence.to_le_bytes());
    checked.extend_from_slice(payload.as_bytes());
    let length = u32::try_from(checked.len() + 8).unwrap();
    let checksum = crc32fast::hash(&checked);
    [&length.to_le_bytes()[..], &checksum.to_le_bytes(), &checked].concat()
}

#[test]
fn a_file_of_an_older_gateway_is_read() {
    let place = Place::new();
    std::fs::create_dir_all(&place.0).unwrap();
    let mut file = [b"AIRJRNL1".as_slice(), &41_u64.to_le_bytes()].concat();
    file.extend_from_slice(&crc32fast::hash(&file).to_le_bytes());
    let ended = r#"{"kind":"model_call","call_id":"call_1","outcome":"completed","charges":[]}"#;
    let lost = r#"{"kind":"model_call","call_id":"call_2","outcome":"lost","charges":[{"scope":"agent:a","window_start":0,"nanousd":5}]}"#;
    for frame in [frame(1, 6, 0, "{}"), frame(1, 7, 0, lost), frame(2, 6, 41, ended)] {
        file.extend_from_slice(&frame);
    }
    file.resize(80 << 10, 0);
    std::fs::write(place.0.join(format!("{:016}.segment", 3)), file).unwrap();
    let (spool, recovered) = Spool::open(&place.0, SMALL).unwrap();
    assert_eq!((recovered.lost, recovered.carried.len()), (1, 1));
    let expected = [
        (41, "call_1".to_owned(), "completed".to_owned()),
        (42, "call_2".to_owned(), "lost".to_owned()),
    ];
    assert_eq!(delivered(&spool), expected);
}

#[test]
fn what_was_written_is_there_for_others_before_this_process_ends() {
    let place = Place::new();
    let spool = open(&place.0);
    let ticket = spool.begin(&call(1, Outcome::Lost), 500).unwrap();
    spool.finish(ticket, &call(1, Outcome::Completed)).unwrap();
    let _under_way = spool.begin(&call(2, Outcome::Lost), 500).unwrap();
    // As the kernel has it now, which is what a `kill -9` would leave.
    let left = Place::new();
    std::fs::create_dir_all(&left.0).unwrap();
    for entry in std::fs::read_dir(&place.0).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, left.0.join(path.file_name().unwrap())).unwrap();
    }
    let (copy, recovered) = Spool::open(&left.0, SMALL).unwrap();
    assert_eq!(recovered.lost, 1);
    let names = delivered(&copy);
    assert_eq!(
        names,
        [
            (1, "call_1".to_owned(), "completed".to_owned()),
            (2, "call_2".to_owned(), "lost".to_owned())
        ]
    );
}

#[test]
fn numbers_go_on_after_everything_was_delivered_and_removed() {
    let place = Place::new();
    for round in 0..5 {
        let spool = open(&place.0);
        for id in 1..=200 {
            assert_eq!(spool.record(&call(id, Outcome::Refused)).unwrap(), round * 200 + id);
        }
        spool.acknowledge(u64::MAX).unwrap();
    }
}

#[test]
fn a_long_call_keeps_its_beginning_while_others_come_and_go() {
    let place = Place::new();
    let spool = open(&place.0);
    let long = spool.begin(&call(7777, Outcome::Lost), 500).unwrap();
    for id in 1..=300 {
        spool.record(&call(id, Outcome::Refused)).unwrap();
    }
    spool.acknowledge(300).unwrap();
    drop(spool);
    let (_, recovered) = Spool::open(&place.0, SMALL).unwrap();
    assert_eq!(recovered.lost, 1, "the beginning was still on disk");
    let _ = long;
}

#[test]
fn a_full_spool_refuses_and_takes_calls_again_when_delivered() {
    let place = Place::new();
    let options = SpoolOptions {
        segment_bytes: 68 << 10,
        max_bytes: 3 * (68 << 10),
    };
    let (spool, _) = Spool::open(&place.0, options).unwrap();
    let mut open_calls = Vec::new();
    let full = loop {
        match spool.begin(&call(1, Outcome::Lost), 500) {
            Ok(ticket) => open_calls.push(ticket),
            Err(full) => break full,
        }
    };
    assert!(matches!(full, SpoolFault::Full));
    for ticket in open_calls {
        spool
            .finish(ticket, &call(1, Outcome::Completed))
            .expect("its room was set aside");
    }
    while spool.record(&call(2, Outcome::Refused)).is_ok() {}
    assert!(matches!(
        spool.begin(&call(2, Outcome::Lost), 500),
        Err(SpoolFault::Full)
    ));
    spool.acknowledge(spool.state().sequence).unwrap();
    assert!(spool.begin(&call(3, Outcome::Lost), 500).is_ok());
}

#[test]
fn a_batch_that_was_not_acknowledged_comes_again() {
    let place = Place::new();
    let spool = open(&place.0);
    for id in 1..=10 {
        spool.record(&call(id, Outcome::Refused)).unwrap();
    }
    assert_eq!(spool.next_batch(4, 1 << 20).unwrap().last, 4);
    assert_eq!(spool.next_batch(4, 1 << 20).unwrap().last, 8);
    spool.rewind();
    assert_eq!(spool.next_batch(4, 1 << 20).unwrap().last, 4);
    spool.acknowledge(2).unwrap();
    let left: Vec<u64> = delivered(&spool).into_iter().map(|(sequence, _, _)| sequence).collect();
    assert_eq!(left, (3..=10).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Step {
    Begin,
    Finish(prop::sample::Index),
    Refuse,
    Deliver(usize),
    Die,
    DieTorn(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Begin),
        5 => any::<prop::sample::Index>().prop_map(Step::Finish),
        2 => Just(Step::Refuse),
        2 => (1_usize..20).prop_map(Step::Deliver),
        1 => Just(Step::Die),
        1 => (1_u64..40).prop_map(Step::DieTorn),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_call_has_one_record_and_numbers_have_no_gap(steps in steps()) {
        let place = Place::new();
        let mut spool = open(&place.0);
        let mut under_way = Vec::new();
        let mut begun: BTreeMap<String, bool> = BTreeMap::new();
        let mut arrived: Vec<(u64, String, String)> = Vec::new();
        let mut id = 0;
        for step in steps {
            match step {
                Step::Begin => {
                    id += 1;
                    under_way.push((id, spool.begin(&call(id, Outcome::Lost), 500).unwrap()));
                    begun.insert(format!("call_{id}"), true);
                }
                Step::Finish(which) if !under_way.is_empty() => {
                    let (id, ticket) = under_way.swap_remove(which.index(under_way.len()));
                    spool.finish(ticket, &call(id, Outcome::Completed)).unwrap();
                }
                Step::Finish(_) => {}
                Step::Refuse => {
                    id += 1;
                    spool.record(&call(id, Outcome::Refused)).unwrap();
                    begun.insert(format!("call_{id}"), true);
                }
                Step::Deliver(count) => {
                    let fresh = delivered(&spool).into_iter().take(count).collect::<Vec<_>>();
                    if let Some((last, ..)) = fresh.last() {
                        spool.acknowledge(*last).unwrap();
                    }
                    arrived.extend(fresh);
                }
                Step::Die | Step::DieTorn(_) => {
                    under_way.clear();
                    let acknowledged = spool.state().acknowledged;
                    drop(spool);
                    if let Step::DieTorn(bytes) = step {
                        // Only what was not acknowledged yet can be torn: the last frame written.
                        let before = Spool::open(&place.0, SMALL).unwrap().0;
                        let last = before.record(&call(0, Outcome::Refused)).unwrap();
                        drop(before);
                        tear(&place.0, bytes);
                        prop_assert!(last > acknowledged);
                    }
                    spool = open(&place.0);
                    spool.acknowledge(acknowledged).unwrap();
                }
            }
        }
        drop(spool);
        arrived.extend(delivered(&open(&place.0)).into_iter().filter(|(sequence, ..)| !arrived.iter().any(|(seen, ..)| seen == sequence)).collect::<Vec<_>>());
        arrived.sort();
        let numbers: Vec<u64> = arrived.iter().map(|(sequence, ..)| *sequence).collect();
        prop_assert_eq!(numbers, (1..=arrived.len() as u64).collect::<Vec<_>>());
        let mut seen: Vec<&String> = arrived.iter().map(|(_, id, _)| id).filter(|id| *id != "call_0").collect();
        seen.sort();
        let mut expected: Vec<&String> = begun.keys().collect();
        expected.sort();
        prop_assert_eq!(seen, expected);
    }
}
