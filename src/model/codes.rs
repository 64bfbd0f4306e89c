//! Every diagnostic code, with its usual severity and next step. Codes are stable: scripts may match on them.

use super::severity::Severity::{self, Error, Note, Warning};

/// A kind of diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable kebab-case name.
    pub id: &'static str,
    /// Usual severity.
    pub severity: Severity,
    /// What it means, for the table in the documentation.
    pub meaning: &'static str,
    /// What to do about it, unless the place knows better.
    pub next_step: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $severity:ident, $meaning:literal, $next:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code =
            Code { id: $id, severity: $severity, meaning: $meaning, next_step: $next };)*
        /// All codes, by topic.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // Reading files
    FILE_UNREADABLE = "file-unreadable", Error, "a file could not be read", "make the file readable, or exclude it with .gitignore";
    FILE_TOO_LARGE = "file-too-large", Warning, "a file is larger than warmset reads", "exclude it with .gitignore if it is not source, or split it";
    FILE_BINARY = "file-binary", Warning, "a source file or lock holds binary data", "check that the file is what its name says";
    FILE_ENCODING = "file-encoding", Warning, "a file is not in the encoding that it declares", "save it as UTF-8, or declare its encoding (PEP 263)";
    LINK_LEAVES_ROOT = "link-leaves-root", Warning, "a symbolic link points outside the scanned folder and was not followed", "copy what it points to into the folder, or scan a folder that holds both";
    PATH_UNREADABLE = "path-unreadable", Error, "a listed path is no function package below the fleet's folder", "correct the path, or take it off the list";
    TREE_TOO_DEEP = "tree-too-deep", Warning, "folders are nested deeper than warmset follows", "scan the inner folder by itself";
    ARCHIVE_INVALID = "archive-invalid", Warning, "an archive could not be read", "pack it again, or exclude it with .gitignore";
    ARCHIVE_UNSAFE = "archive-unsafe", Warning, "an archive holds entries that warmset does not read: outside of it, twice, encrypted, links", "pack it again without them";
    ARCHIVE_EXPANDS = "archive-expands", Warning, "an archive holds more than warmset unpacks", "scan the folder that it was made from";
    // Finding functions
    NO_FUNCTIONS = "no-functions", Warning, "no function was found", "point warmset at a folder with a SAM template, a serverless.yml, or a manifest beside source files";
    TEMPLATE_INVALID = "template-invalid", Error, "a template could not be parsed", "correct it at this line; the tool that deploys it may say more";
    TEMPLATE_POINTS_NOWHERE = "template-points-nowhere", Error, "a template names a code folder or handler that does not exist", "correct the path in the template, or build the function first";
    TEMPLATE_UNRESOLVED = "template-unresolved", Warning, "a value in a template is only known at deployment", "write it as a literal, or declare the function in a plain folder";
    RUNTIME_UNKNOWN = "runtime-unknown", Error, "the runtime is not one that warmset plans for", "use a Python or Node.js runtime, or remove the function from the scanned folder";
    PLATFORM_DEFAULTED = "platform-defaulted", Note, "nothing says which runtime the function uses", "say it: requires-python, .python-version, engines.node, .nvmrc, or --python / --node";
    INLINE_CODE = "inline-code", Note, "a function's code is written inside its template, so it has no folder to read", "move the code to a file if it imports more than its platform provides";
    DECLARATIONS_DISAGREE = "declarations-disagree", Warning, "two templates declare the same handler in different ways", "make them agree, or exclude one with .gitignore; the first one counts";
    FUNCTION_NAME_TWICE = "function-name-twice", Warning, "two functions have the same name", "rename one of them; warmset tells them apart by their path";
    CONFIG_INVALID = "config-invalid", Error, "a warmset.toml holds something that warmset does not understand", "correct it: docs/warmset-toml.md lists keys and values";
    HANDLER_MISSING = "handler-missing", Note, "a file that is called like a handler, beside a manifest, has none", "if it is a function, check its syntax, or declare it in a template";
    // Reading sources
    PYTHON_SYNTAX = "python-syntax", Warning, "a Python file could not be parsed", "correct the syntax error, or exclude the file if it is no source";
    PYTHON_2 = "python-2", Warning, "a Python 2 source", "port it to Python 3, or exclude it";
    COMPILED_MODULE = "compiled-module", Note, "a local module is compiled, so that what it imports is not read", "declare what it imports, or keep its source beside it";
    JAVASCRIPT_SYNTAX = "javascript-syntax", Warning, "a JavaScript or TypeScript file could not be parsed", "correct the syntax error, or exclude the file if it is no source";
    DYNAMIC_IMPORT = "dynamic-import", Note, "an import whose module is only known when it runs", "import the module by a literal name where possible; its packages are not preloaded";
    SOURCE_UNREAD = "source-unread", Note, "a function loads a local file that warmset does not read, so its closure is kept whole", "nothing, unless that file loads what the function does not declare";
    ALIAS_UNREAD = "alias-unread", Note, "an import by an alias that only a bundler's configuration can explain", "write the alias as `paths` in tsconfig.json, or as `imports` in package.json";
    MODULE_KIND = "module-kind", Note, "a module is written in the form that its package.json or extension rules out", "if no bundler or compiler changes it, rename the file or correct `type` in package.json";
    NESTING_TOO_DEEP = "nesting-too-deep", Warning, "a file is nested deeper than warmset follows", "exclude generated files";
    // Reading locks and manifests
    LOCK_INVALID = "lock-invalid", Error, "a lock could not be parsed", "make the lock again with the tool that owns it";
    LOCK_UNSUPPORTED = "lock-unsupported", Warning, "a lock in a format or version that warmset does not read", "convert it with its own tool, or export hashed requirements";
    LOCK_CYCLE = "lock-cycle", Warning, "requirements files include each other in a circle", "remove one of the -r lines";
    LOCK_CONTRADICTS_MANIFEST = "lock-contradicts-manifest", Warning, "the lock does not satisfy the manifest beside it", "make the lock again";
    LOCKS_SEVERAL = "locks-several", Note, "a folder holds several locks, of which one counts", "keep the one that is deployed; in package.json, packageManager names it";
    LOCK_INCOMPLETE = "lock-incomplete", Warning, "the lock lacks something that its own entries need", "make the lock again";
    MANIFEST_INVALID = "manifest-invalid", Error, "a manifest could not be parsed", "correct the syntax error";
    REQUIREMENT_INVALID = "requirement-invalid", Warning, "a requirement line could not be read", "write it as PEP 508 says, or as the npm range grammar says";
    REQUIREMENT_UNSUPPORTED = "requirement-unsupported", Note, "a requirement of a kind that cannot be shared (path, URL, VCS, editable)", "publish it to an index to make it shareable";
    INCLUDE_MISSING = "include-missing", Error, "a file that another file includes does not exist", "correct the path or add the file";
    PLATFORM_INCOMPATIBLE = "platform-incompatible", Warning, "the lock is not made for the function's platform", "make the lock for this platform, or change the runtime";
    // Resolving
    IMPORT_MISSING = "import-missing", Warning, "an import that nothing declared, locked, local or provided explains", "declare the distribution that provides it";
    LAYER_UNREAD = "layer-unread", Note, "an import that only a layer outside the scanned folder can explain", "declare the distribution with the function, so that its packages can be shared";
    IMPORT_AMBIGUOUS = "import-ambiguous", Note, "more than one declared distribution can provide an import", "remove the one that is not used";
    VERSION_UNKNOWN = "version-unknown", Note, "a direct dependency without a known version", "lock the function, pin it with ==, or give --pins";
    PINS_INVALID = "pins-invalid", Error, "the file of pins could not be read", "write one name==version or name@version a line";
    NOT_RESOLVED = "not-resolved", Warning, "the tool of its ecosystem did not resolve what a function asks for", "correct the requirement that the tool names, or pin the function with its own tool";
    REQUIREMENT_LEFT_OUT = "requirement-left-out", Warning, "a requirement that `warmset lock` does not hand to a tool, as that could run code or fetch a repository", "publish it to an index, or lock the function with its own tool";
    LOCK_STALE = "lock-stale", Warning, "what `warmset lock` resolved for a function is not what it asks for now", "run `warmset lock` again";
    // Artefacts and options
    ARTEFACT_INVALID = "artefact-invalid", Error, "an artefact could not be read", "make it again with the warmset command that writes it";
    SCHEMA_NEWER = "schema-newer", Error, "an artefact was written by a newer warmset", "update warmset, or make the artefact again with this version";
    REFERENCE_UNKNOWN = "reference-unknown", Warning, "an artefact names something that it does not define", "make the artefact again";
    FUNCTION_DIFFERS = "function-differs", Warning, "merged inventories hold different records of one function", "scan that function again, or merge inventories of one state of the fleet";
    SHARD_MISSING = "shard-missing", Warning, "merged shards are not all shards", "scan the shards that are missing, and merge again";
    BUDGET_TOO_SMALL = "budget-too-small", Warning, "the budget is smaller than the smallest image", "raise --budget";
    DEMANDS_CONTRADICT = "demands-contradict", Error, "what is asked of a plan cannot be had together", "relax or drop one of the demands that are named";
    DEMANDS_UNMET = "demands-unmet", Note, "the smallest budgets of a sweep are too small for the demands", "plan with one of them to see which demands contradict it";
    DEMAND_UNMATCHED = "demand-unmatched", Warning, "a demand names functions or packages that the fleet does not have", "correct the name: warmset scan prints the functions";
    DISK_UNKNOWN = "disk-unknown", Note, "packages whose size on disk is not known are left out of images where disk is limited", "give disk_mb for them in --costs, or drop the limit";
    CHANGES_TOO_FEW = "changes-too-few", Warning, "with so few images built the plan saves less than asked for", "allow more images with --churn, or a larger --loss";
    COST_UNKNOWN = "cost-unknown", Note, "packages without a known cost are left out of images", "give --costs, or --assume-cost MS,MB";
    REQUIRES_UNKNOWN = "requires-unknown", Note, "packages whose own dependencies are not known enter an image only together with what they always come with", "lock the functions that pin them";
    VERSIONS_CLASH = "versions-clash", Warning, "one closure holds two versions of a Python distribution", "make the lock again, or correct the inventory";
    SOURCE_NOT_SHAREABLE = "source-not-shareable", Note, "packages from paths, URLs or repositories are left out of shared images", "publish them to an index";
    TRACE_INVALID = "trace-invalid", Error, "a trace could not be read", "use function,count columns or the Azure Functions column names";
    TRACE_UNMATCHED = "trace-unmatched", Warning, "a trace and the fleet name different functions", "check the function ids: warmset scan prints them";
    HASHES_MISSING = "hashes-missing", Warning, "an image holds packages for which no lock gives hashes", "lock with hashes (uv pip compile --generate-hashes, npm install)";
    EXPORT_LEFT_OUT = "export-left-out", Note, "a format cannot express the plan", "plan with --share subset for systems that read that format";
    // measure
    NOT_MEASURED = "not-measured", Warning, "a function could not be installed or loaded, so that nothing was measured of it", "correct what the installer or the interpreter says, and measure again: what is measured is kept";
    SPREAD_WIDE = "spread-wide", Warning, "load times of packages that matter differ too much between repetitions to plan by", "measure again with more --repetitions while the machine has nothing else to do";
    WARMUP_NOT_MEASURED = "warmup-not-measured", Note, "a handler could not be called with its event", "give it an event file that it answers without a network, or plan without its warm-up";
    // build
    IMAGE_NOT_BUILT = "image-not-built", Error, "the builder could not build an image", "correct what the builder names; --logs DIR keeps all that it says";
    IMAGE_SKIPPED = "image-skipped", Warning, "an image was not built, as the image that it stands on was not", "build again when that one builds";
    BASE_IMAGE_MISSING = "base-image-missing", Error, "a base image is not in the builder's store and cannot be fetched", "load it into the store (docker, podman or buildah: load or pull), or name another with --base PLATFORM=REFERENCE";
    // check
    FUNCTION_ADDED = "function-added", Warning, "a function is not in the plan", "plan again";
    FUNCTION_REMOVED = "function-removed", Warning, "a planned function is gone", "plan again";
    CLOSURE_CHANGED = "closure-changed", Warning, "a function's closure is not what was planned", "plan again";
    IMAGE_LOST = "image-lost", Warning, "a function can no longer use its image", "plan again";
    IMAGE_UNUSED = "image-unused", Warning, "an image serves no function any more", "plan again";
    SAVED_SHARE_FELL = "saved-share-fell", Warning, "the plan saves less than is asked for", "plan again, or lower --min-saved";
    PLAN_BROKEN = "plan-broken", Error, "the plan breaks its own rules", "plan again; do not edit plan.json by hand";

    // Running
    ISOLATION_MISSING = "isolation-missing", Warning, "this machine or user does not permit all isolation that functions should have", "run as root";
    INTERPRETER_MISSING = "interpreter-missing", Error, "no interpreter of a platform is on this machine", "install it, or name it in WARMSET_INTERPRETERS";
    PACKAGES_NOT_INSTALLED = "packages-not-installed", Error, "the packages of an image or a closure could not be installed", "run the tool by hand with the lock in the plan folder";
    IMAGE_STALE = "image-stale", Error, "the image in a builder's store is not the one that the manifest names", "build it again: warmset build";
    IMAGE_MISSING = "image-missing", Error, "a built image is not in the builder's store, or cannot be used", "build it: warmset build";
    FUNCTION_NOT_DEPLOYED = "function-not-deployed", Warning, "a function cannot run here: its code or its packages are not complete", "lock it (`warmset lock`) and plan again";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_say_what_to_do() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ALL {
            assert!(seen.insert(code.id), "{} twice", code.id);
            assert!(code.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", code.id);
            assert!(!code.next_step.is_empty() && !code.next_step.ends_with('.'), "{}", code.id);
            assert!(!code.meaning.is_empty() && !code.meaning.ends_with('.'), "{}", code.id);
        }
    }
}
