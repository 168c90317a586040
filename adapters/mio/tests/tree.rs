//! What a program that picks this adapter pulls in.

use std::process::Command;

#[test]
fn there_is_no_asynchronous_runtime_below() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{lib}", "--target", "all"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    let tree = String::from_utf8(output.stdout).expect("text");
    let crates: Vec<&str> = tree.lines().map(str::trim).collect();
    for expected in ["sockeye_mio", "sockeye_core", "mio"] {
        assert!(crates.contains(&expected), "{tree}");
    }
    for name in crates {
        let is_runtime = ["tokio", "async", "smol", "futures_util", "futures_executor"]
            .iter()
            .any(|runtime| name.starts_with(runtime));
        assert!(!is_runtime && name != "sockeye_async", "{name} in\n{tree}");
    }
}
