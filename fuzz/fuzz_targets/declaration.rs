//! One file that declares functions, beside sources that it may point to: every kind of declaration, by the file's name
//! in the first line. The rest may be any bytes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::discover::{Defaults, discover};

const FRAME: &[(&str, &[u8])] = &[
    ("app.py", b"def handler(event, context):\n    return 1\n"),
    ("index.js", b"exports.handler = async (event) => 1;\n"),
    ("src/app.py", b"def handler(event, context):\n    return 1\n"),
    ("src/index.ts", b"export const handler = async (event: unknown) => 1;\n"),
    ("src/package.json", b"{\"main\": \"index.js\"}"),
    ("src/requirements.txt", b"six==1.16.0\n"),
    ("layer/python/shared.py", b"x = 1\n"),
    ("asset/index.js", b"exports.handler = async (event) => 1;\n"),
    ("nested/template.yaml", b"Resources:\n  Inner:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: ../src, Handler: app.handler, Runtime: python3.12}\n"),
];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((file, bytes)) = warmset_fuzz::head(input) else { return Corpus::Reject };
    // What makes a folder a project of a kind, where the file is only read inside of one.
    let mut frame = FRAME.to_vec();
    match file.rsplit('/').next().unwrap_or(file) {
        name if name.starts_with("stack.") || name.starts_with("bin.") => frame.push(("cdk.json", b"{\"app\": \"python3 app.py\"}")),
        "manifest.json" => frame.push(("cdk.out/cdk.out", b"{\"version\":\"36.0.0\"}")),
        "function.json" | "function_app.py" | "functions.js" => frame.push(("host.json", b"{\"version\": \"2.0\"}")),
        _ => {}
    }
    let Some(tree) = warmset_fuzz::framed(&frame, file, bytes) else { return Corpus::Reject };
    let found = discover(&tree, &Defaults::default());
    let lines = warmset_fuzz::lines(bytes) + 1;
    warmset_fuzz::check_diagnostics(&found.diagnostics, file, lines);
    assert!(found.diagnostics.is_sorted());
    assert!(found.sites.windows(2).all(|s| s[0].id < s[1].id), "sites are not sorted by unique ids");
    for site in &found.sites {
        assert!(site.declared_at.file != file || site.declared_at.line <= lines, "{site:?}");
        assert!(tree.contains(&site.declared_at.file) || tree.has_dir(&site.declared_at.file), "{:?}", site.declared_at);
        assert!(!site.root.starts_with('/') && !site.root.split('/').any(|part| part == ".."), "{}", site.root);
        if let Some(handler) = &site.handler_file {
            assert!(tree.contains(handler), "{handler} does not exist");
        }
        assert!(site.weight.is_none_or(|w| w.is_finite() && w >= 0.0), "{:?}", site.weight);
    }
    if bytes.len().is_multiple_of(8) {
        assert_eq!(found, discover(&tree, &Defaults::default()));
    }
    Corpus::Keep
});
