//! Tables in the documentation, written by the commands that fill them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|dir| dir.ends_with("benches"));
    root.unwrap_or(package).join("..").join(path)
}

/// Puts `text` into `docs/performance.md`, between the comments that name this benchmark.
pub fn write(benchmark: &str, text: &str) -> io::Result<()> {
    let path = file("docs/performance.md");
    let old = fs::read_to_string(&path)?;
    let (begin, end) = (
        format!("<!-- {benchmark} -->"),
        format!("<!-- end of {benchmark} -->"),
    );
    let places = old.find(&begin).zip(old.find(&end));
    let Some((from, to)) = places.filter(|(from, to)| from < to) else {
        let missing = format!("{} has no place for {benchmark}", path.display());
        return Err(io::Error::other(missing));
    };
    let before = &old[..from + begin.len()];
    let new = format!("{before}\n\n{}\n\n{}", text.trim_end(), &old[to..]);
    fs::write(path, new)
}

/// Where and when it was measured.
pub fn circumstances() -> String {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let date = said("date", &["-u", "+%-d %B %Y"]).unwrap_or_default();
    let rustc = said("rustc", &["--version"]).unwrap_or_default();
    let rustc: Vec<&str> = rustc.split(' ').take(2).collect();
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    // Without its build, which others cannot have.
    let kernel: Vec<&str> = kernel.split(['.', '-']).take(2).collect();
    format!(
        "{date}, {threads} virtual cores of an {}, {}, {}",
        cpu.unwrap_or_default(),
        kernel.join("."),
        rustc.join(" ")
    )
}
