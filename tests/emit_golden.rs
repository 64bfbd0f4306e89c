//! The files of a small plan, byte by byte, and the schemas that they keep. After a deliberate change:
//! `WARMSET_UPDATE=1 cargo test --test emit_golden`, and read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use warmset::emit::{EmitOptions, Emitted, emit, schemas};
use warmset::model::{Inventory, Plan};

fn input() -> (Plan, Inventory) {
    let plan = serde_json::from_str(include_str!("emit_data/plan.json")).expect("a plan");
    let inventory = serde_json::from_str(include_str!("emit_data/inventory.json")).expect("an inventory");
    (plan, inventory)
}

fn made() -> Emitted {
    let (plan, inventory) = input();
    emit(&plan, &inventory, &EmitOptions { name: "fleet".into(), ..EmitOptions::default() })
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/emit")
}

fn files_below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files_below(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

#[test]
fn the_files_are_the_golden_ones() {
    let emitted = made();
    // The hosts are the files under src/emit/host; a second copy of them here would only be in the way.
    let files: BTreeMap<&String, &Vec<u8>> =
        emitted.files.iter().filter(|(name, _)| !name.ends_with("/host.py") && !name.ends_with("/host.mjs")).collect();
    if std::env::var_os("WARMSET_UPDATE").is_some() {
        let _ = fs::remove_dir_all(golden());
        for (name, bytes) in &files {
            let path = golden().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, bytes).expect("a written file");
        }
    }
    let mut kept = BTreeSet::new();
    files_below(&golden(), "", &mut kept);
    assert_eq!(kept, files.keys().map(|n| n.to_string()).collect(), "the golden folder holds other files");
    for (name, bytes) in files {
        let kept = fs::read(golden().join(name)).expect("a golden file");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(bytes), text(&kept), "{name} differs");
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    assert_eq!(made(), made());
}

#[test]
fn each_image_has_all_that_its_dockerfile_names() {
    let emitted = made();
    let (plan, _) = input();
    for image in &plan.images {
        let folder = format!("images/{}/", image.id);
        let dockerfile = String::from_utf8(emitted.files[&format!("{folder}Dockerfile")].clone()).expect("UTF-8");
        let copies = dockerfile.lines().filter_map(|l| l.strip_prefix("COPY ")).filter(|l| !l.contains("--from="));
        let words = copies.flat_map(|l| l.split(' ').filter(|w| !w.starts_with(['-', '/'])));
        let mut count = 0;
        for name in words {
            assert!(emitted.files.contains_key(&format!("{folder}{name}")), "{folder}{name}");
            count += 1;
        }
        assert!(count >= 3, "{folder}: a lock, the host and its preload list");
        for name in [".dockerignore", "preload.json"] {
            assert!(emitted.files.contains_key(&format!("{folder}{name}")), "{folder}{name}");
        }
    }
}

#[test]
fn nothing_names_an_index_host_or_a_place_on_this_machine() {
    for (name, bytes) in made().files {
        let text = String::from_utf8(bytes).expect("UTF-8");
        // Every address has a scheme, so no list of hosts is needed.
        for word in ["http:", "https:", "://", "index-url", "registry=", env!("CARGO_MANIFEST_DIR")] {
            // The value of a JSON Schema keyword would be the only URL, and no schema is among the files.
            assert!(!text.contains(word), "{name} holds {word}");
        }
    }
}

#[test]
fn artefacts_keep_their_schemas_and_the_schemas_refuse_what_is_wrong() {
    let emitted = made();
    let schemas = schemas();
    let (_, inventory) = input();
    let inventory = serde_json::to_value(&inventory).expect("JSON");
    let json = |name: &str| -> Value { serde_json::from_slice(&emitted.files[name]).expect("JSON") };
    let cases = [
        ("plan.schema.json", json("plan.json"), "images"),
        ("swap-manifest.schema.json", json("swap-manifest.json"), "functions"),
        ("inventory.schema.json", inventory, "functions"),
    ];
    for (name, value, required) in cases {
        let schema: Value = serde_json::from_str(&schemas[name]).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a valid schema");
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let mut broken = value;
        broken.as_object_mut().expect("an object").remove(required);
        assert!(!validator.is_valid(&broken), "{name} takes a file without {required}");
    }
    assert_eq!(schemas.len(), 6);
}

#[test]
fn a_plan_without_images_still_makes_a_folder() {
    let (mut plan, inventory) = input();
    plan.images.clear();
    plan.assignments.clear();
    let emitted = emit(&plan, &inventory, &EmitOptions { name: "none".into(), ..EmitOptions::default() });
    // Functions that start cold still need what they load.
    let (closures, names): (Vec<&str>, Vec<&str>) =
        emitted.files.keys().map(String::as_str).partition(|name| name.starts_with("closures/"));
    assert!(!closures.is_empty());
    assert_eq!(names, ["docker-bake.hcl", "plan.json", "report.html", "swap-manifest.json"]);
}
