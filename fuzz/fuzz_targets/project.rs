//! What says how names are looked up: `tsconfig.json`, `package.json` (`exports`, `imports`, workspaces), metadata of
//! installed packages, version files. The first line of the input is the file's name; the rest may be any bytes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use warmset::resolve::{ScanOptions, scan_tree};

const FRAME: &[(&str, &[u8])] = &[
    ("package.json", b"{\"name\": \"top\", \"workspaces\": [\"packages/*\"], \"dependencies\": {\"ms\": \"2.1.3\", \"shared\": \"*\"}}"),
    ("tsconfig.json", b"{\"extends\": \"./tsconfig.base.json\", \"compilerOptions\": {\"baseUrl\": \".\"}}"),
    ("tsconfig.base.json", b"{\"compilerOptions\": {\"paths\": {\"@lib/*\": [\"lib/*\"]}}}"),
    ("index.ts", b"import ms from 'ms'; import '@lib/a'; import '#own'; import 'shared/deep'; import './lib/b.js'; import 'lib/a';\nexport const handler = async (event: unknown) => ms(1);\n"),
    ("lib/a.ts", b"import 'top/own'; export {}"),
    ("lib/b.ts", b"require('shared')"),
    ("packages/shared/package.json", b"{\"name\": \"shared\", \"version\": \"1.0.0\", \"exports\": {\".\": \"./index.js\", \"./*\": {\"node\": \"./src/*.js\"}}}"),
    ("packages/shared/index.js", b"module.exports = 1"),
    ("packages/shared/src/deep.js", b"module.exports = 2"),
    ("py/app.py", b"import six, yaml, own.part\n\ndef lambda_handler(event, context):\n    return 1\n"),
    ("py/own/part.py", b"from . import other\n"),
    ("py/pyproject.toml", b"[project]\nname = \"py\"\nversion = \"1\"\ndependencies = [\"six==1.16.0\", \"pyyaml\"]\n"),
];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((file, bytes)) = warmset_fuzz::head(input) else { return Corpus::Reject };
    let Some(tree) = warmset_fuzz::framed(FRAME, file, bytes) else { return Corpus::Reject };
    let inventory = scan_tree(&tree, &ScanOptions::default(), &|_| {});
    warmset_fuzz::check_inventory(&inventory);
    warmset_fuzz::check_diagnostics(&inventory.diagnostics, file, warmset_fuzz::lines(bytes) + 1);
    if bytes.len().is_multiple_of(8) {
        assert_eq!(inventory, scan_tree(&tree, &ScanOptions::default(), &|_| {}));
    }
    Corpus::Keep
});
