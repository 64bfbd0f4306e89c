//! The README shows what its first command prints now. `WARMSET_UPDATE=1` rewrites the block.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// The README is rewritten by one test at a time.
static TURN: Mutex<()> = Mutex::new(());

const COMMAND: &str = "cargo run --release -- plan fixtures/fleet --budget 256MiB --out target/plan";
const START: &str = "rewrites it -->\n```text\n";

const TABLE_START: &str = "<!-- warmset formats; WARMSET_UPDATE=1 cargo test --test readme rewrites it -->\n";
const TABLE_END: &str = "<!-- end of warmset formats -->";

#[test]
fn the_table_of_what_is_read_is_what_the_readers_say() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let output =
        Command::new(env!("CARGO_BIN_EXE_warmset")).args(["formats", "--format", "markdown"]).output().unwrap();
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    // The other test may rewrite its own block: what is read here is written back at once.
    let _turn = TURN.lock().unwrap();
    let text = std::fs::read_to_string(&readme).unwrap();
    let from = text.find(TABLE_START).expect("the table is marked") + TABLE_START.len();
    let to = from + text[from..].find(TABLE_END).expect("the table ends");
    if std::env::var_os("WARMSET_UPDATE").is_some() {
        std::fs::write(&readme, format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], table, "run WARMSET_UPDATE=1 cargo test --test readme");
}

#[test]
fn the_first_command_prints_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let _turn = TURN.lock().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(COMMAND), "the README no longer shows `{COMMAND}`");
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("target/plan");
    let args = COMMAND.split_once("-- ").unwrap().1.split(' ').take_while(|word| *word != "--out");
    let output = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(args)
        .arg("--out")
        .arg(&out)
        .current_dir(root)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap().replace(&out.display().to_string(), "target/plan");
    let from = readme.find(START).expect("the block is marked") + START.len();
    let to = from + readme[from..].find("```\n").expect("the block ends");
    if std::env::var_os("WARMSET_UPDATE").is_some() {
        let updated = format!("{}{printed}{}", &readme[..from], &readme[to..]);
        std::fs::write(root.join("README.md"), updated).unwrap();
        return;
    }
    assert_eq!(&readme[from..to], printed, "run WARMSET_UPDATE=1 cargo test --test readme");
}
