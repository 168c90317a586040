//! The table in `docs/features.md` and the tests are the same rows.

use alloc::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const TABLE: &str = include_str!("../../../docs/features.md");
const FILES: [(&str, &str); 6] = [
    ("autobahn.rs", include_str!("suite/autobahn.rs")),
    ("chat.rs", include_str!("suite/chat.rs")),
    ("presence.rs", include_str!("suite/presence.rs")),
    ("quart.rs", include_str!("suite/quart.rs")),
    ("shallot.rs", include_str!("suite/shallot.rs")),
    ("yawf.rs", include_str!("suite/yawf.rs")),
];
const ADAPTERS: [&str; 4] = ["async_std", "mio", "smol", "tokio"];
const ROWS: u32 = 56;

/// The number of the row that a test is for.
fn row(test: &str) -> Option<u32> {
    test.strip_prefix("row_")?.get(..2)?.parse().ok()
}

/// What this program would run: the adapter and the name of each row's test.
fn mounted() -> BTreeSet<(String, String)> {
    let list = |flags: &[&str]| {
        let program = std::env::current_exe().expect("a program");
        let output = Command::new(program).args(flags).output().expect("a list");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(
        !list(&["--list", "--ignored"]).contains("row_"),
        "none is left out"
    );
    let list = list(&["--list"]);
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    tests
        .filter_map(|path| {
            let (adapter, _) = path.split_once("::")?;
            let (_, name) = path.rsplit_once("::")?;
            row(name)?;
            Some((adapter.into(), name.into()))
        })
        .collect()
}

#[test]
fn each_row_has_a_test_on_each_adapter() {
    let mounted = mounted();
    for adapter in ADAPTERS {
        let rows: BTreeSet<u32> = mounted
            .iter()
            .filter(|(mounted, _)| mounted == adapter)
            .filter_map(|(_, name)| row(name))
            .collect();
        // The store is a process beside the tests: its row needs the feature `redis`.
        let expected = (1..=ROWS).filter(|row| cfg!(feature = "redis") || *row != 14);
        assert_eq!(rows, expected.collect(), "{adapter}");
    }
}

#[test]
fn the_table_links_each_row_to_its_tests() {
    let mut tests: BTreeMap<u32, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (file, source) in FILES {
        for name in source.lines().filter_map(|line| line.strip_prefix("fn ")) {
            let name = name.split('(').next().unwrap_or_default();
            if let Some(row) = row(name) {
                tests.entry(row).or_default().insert((file, name));
            }
        }
    }
    let mut rows = 0;
    for line in TABLE.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.parse().ok()) else {
            continue;
        };
        rows += 1;
        assert_eq!(number, rows, "the rows are in order");
        let linked: BTreeSet<(&str, &str)> = cells
            .iter()
            .flat_map(|cell| cell.split("[`").skip(1))
            .filter_map(|link| {
                let (name, rest) = link.split_once("`](")?;
                let (target, _) = rest.split_once(')')?;
                let (_, file) = target.rsplit_once('/')?;
                row(name)?;
                Some((file, name))
            })
            .collect();
        let has_tests = tests.get(&number).expect("a row has tests");
        assert_eq!(&linked, has_tests, "row {number}");
    }
    assert_eq!(rows, ROWS);
}
