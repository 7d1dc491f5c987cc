//! Crates point down: an edge that is not in this table is refused.

use std::collections::BTreeMap;
use std::process::Command;

/// Which crates of the workspace each may depend on.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("sight", &[]),
    ("protocols", &["sight"]),
    ("snapshot", &["protocols"]),
    ("providers", &["protocols", "snapshot"]),
    ("metering", &["protocols", "snapshot"]),
    (
        "routing",
        &["metering", "protocols", "providers", "snapshot", "translation"],
    ),
    ("heap", &[]),
    ("mapping", &[]),
    ("journal", &["mapping", "metering", "protocols"]),
    ("translation", &["protocols"]),
    (
        "hostile",
        &["protocols", "providers", "server", "snapshot", "translation"],
    ),
    (
        "server",
        &[
            "heap",
            "journal",
            "metering",
            "protocols",
            "providers",
            "routing",
            "snapshot",
            "translation",
        ],
    ),
    (
        "python",
        &[
            "heap",
            "journal",
            "metering",
            "protocols",
            "providers",
            "routing",
            "server",
            "snapshot",
        ],
    ),
];

#[test]
fn every_edge_between_crates_is_allowed() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version=1",
        "--manifest-path",
        manifest,
    ]);
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let own = |name: &str| name.strip_prefix("airside-").map(str::to_owned);
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let mut edges: Vec<String> = dependencies
            .filter_map(|edge| own(edge["name"].as_str().unwrap()))
            .collect();
        edges.sort();
        edges.dedup();
        found.insert(own(package["name"].as_str().unwrap()).unwrap(), edges);
    }
    let allowed = ALLOWED.map(|(name, edges)| (name.to_owned(), edges.iter().map(|edge| (*edge).to_owned()).collect()));
    assert_eq!(found, BTreeMap::from(allowed));
}
