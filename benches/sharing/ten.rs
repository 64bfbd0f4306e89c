//! Functions with the same dependencies: an image each against one for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warmset::live::host::{Answer, Call, CallLimits, ForkServer, HostError, HostSpec, Interpreter, NodeProcess};
use warmset::live::install::code::{NO_BOUND, copy_tree};
use warmset::model::Language;

use super::linux::{Bench, mb, saved, tree};
use super::memory::{held, mb_of, together};

/// How long a called function stays, so that all of them are there at once.
const HOLD_MS: u64 = 4000;
/// The warm host's own files, which every image holds.
const HOST: [u64; 2] = [
    include_str!("../../src/emit/host/host.py").len() as u64,
    include_str!("../../src/emit/host/host.mjs").len() as u64,
];

/// One arrangement's hosts of a language.
enum Host {
    Fork(Box<ForkServer>),
    Node(Box<NodeProcess>),
}

impl Host {
    fn start(spec: &HostSpec, language: Language) -> Result<Self, HostError> {
        Ok(match language {
            Language::Python => Host::Fork(Box::new(ForkServer::start(spec)?)),
            Language::Node => Host::Node(Box::new(NodeProcess::start(spec)?)),
        })
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Host::Fork(host) => host.pids(),
            Host::Node(process) => process.pids(),
        }
    }
}

/// What one function is made of.
struct Function {
    code: PathBuf,
    handler: String,
}

/// Prints one comparison.
pub fn compare(bench: &Bench, like: &str, count: usize) {
    let Some(model) = bench.manifest.functions.iter().find(|f| f.id == like) else {
        println!("{like}: skipped, the golden plan has no such function");
        return;
    };
    let files = bench.files.functions.get(like);
    let (Some(files), Some(platform)) = (files, &model.platform) else {
        println!("{like}: skipped, it could not be deployed");
        return;
    };
    let (Some(closure), Some(handler)) = (&files.closure, &model.handler) else { return };
    let language = platform.language;
    let preload = bench.manifest.closures.iter().find(|c| Some(&c.id) == model.closure.as_ref());
    let preload = preload.map(|c| c.preload.clone()).unwrap_or_default();
    let work = tempfile::Builder::new().prefix("ten-").tempdir_in(bench.scratch.path()).expect("a folder");
    let shared = work.path();
    let _ = fs::set_permissions(shared, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    let functions: Vec<Function> =
        (0..count).map(|n| function(&shared.join(format!("f{n}")), &files.code, handler, language, n)).collect();
    let own: Vec<PathBuf> = (0..count)
        .map(|n| {
            let to = shared.join(format!("own{n}"));
            // Copied and not linked: images of their own share no pages of files either.
            copy_tree(closure, &to, &|_| false, &mut NO_BOUND.clone()).expect("a copied environment");
            to
        })
        .collect();
    let spec = |packages: &Path| HostSpec {
        packages: Some(packages.to_path_buf()),
        modules: preload.clone(),
        environment: warmset::emit::host_environment(language)
            .iter()
            .filter(|(name, _)| !matches!(*name, "WARMSET_SOCKET" | "PYTHONPATH"))
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect(),
        shared: vec![shared.to_path_buf(), bench.store.environments()],
        scratch: Some(bench.scratch.path().to_path_buf()),
        start_limit: Duration::from_secs(120),
        ..HostSpec::bare(bench.warmset.clone(), bench.permitted.isolation, Interpreter::of(&files.interpreter))
    };

    println!(
        "\n{count} functions with the dependencies of {like} ({} packages)",
        model.loads.len().max(packages(bench, model))
    );
    bytes(&own, closure, &functions, language);

    // Ten own hosts that have loaded all of their function's packages.
    let hosts: Result<Vec<Host>, HostError> =
        own.iter().map(|packages| Host::start(&spec(packages), language)).collect();
    let hosts = match hosts {
        Ok(hosts) => hosts,
        Err(why) => {
            println!("  memory: skipped, {why}");
            return;
        }
    };
    let pids: Vec<u32> = hosts.iter().flat_map(Host::pids).collect();
    let ten_mb = held(&pids).pss;
    let ten_pages = together(&pids);
    drop(hosts);
    match language {
        Language::Python => shared_python(bench, &spec(closure), &functions, ten_mb, ten_pages),
        Language::Node => shared_node(&spec(closure), &own, &spec, ten_mb),
    }
}

fn packages(bench: &Bench, model: &warmset::model::manifest::ManifestFunction) -> usize {
    bench.manifest.closures.iter().find(|c| Some(&c.id) == model.closure.as_ref()).map_or(0, |c| c.packages.len())
}

/// A function's folder: the model's code, its own number, and a handler that stays a while.
fn function(folder: &Path, code: &Path, handler: &str, language: Language, number: usize) -> Function {
    copy_tree(code, folder, &|_| false, &mut NO_BOUND.clone()).expect("copied code");
    let name = match language {
        Language::Python => {
            let module = handler.rsplit_once('.').map_or(handler, |(module, _)| module);
            let text = format!(
                "import importlib, time\nNUMBER = {number}\nmodule = importlib.import_module({module:?})\n\
                 def handler(event, context):\n    time.sleep(event['ms'] / 1000)\n    return NUMBER\n"
            );
            fs::write(folder.join("hold.py"), text).map(|()| "hold.handler")
        }
        Language::Node => {
            let text = format!("exports.handler = async () => {number};\n");
            fs::write(folder.join("hold.cjs"), text).map(|()| "hold.handler")
        }
    };
    Function { code: folder.to_path_buf(), handler: name.expect("a written file").to_string() }
}

/// Root file systems without the base image, which all share in either arrangement.
fn bytes(own: &[PathBuf], shared: &Path, functions: &[Function], language: Language) {
    let host = HOST[usize::from(language == Language::Node)] as f64 / 1e6;
    let code: f64 = functions.iter().map(|f| mb(&tree(&f.code))).sum();
    let ten: f64 = own.iter().map(|folder| mb(&tree(folder)) + host).sum::<f64>() + code;
    let one = mb(&tree(shared)) + host + code;
    // Each content once, wherever it lies: what a registry that stores files by digest would keep.
    let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut distinct = 0.0;
    for folder in own.iter().chain(functions.iter().map(|f| &f.code)) {
        for (path, size) in tree(folder) {
            let Ok(content) = fs::read(folder.join(&path)) else { continue };
            if seen.insert(Sha256::digest(&content).to_vec()) {
                distinct += size as f64 / 1e6;
            }
        }
    }
    println!(
        "  root file systems    {ten:9.1} MB own   {one:9.1} MB shared with {} sources  {}",
        functions.len(),
        saved(one, ten)
    );
    println!("    each file once     {distinct:9.1} MB own: files of equal closures are equal");
}

fn shared_python(
    bench: &Bench,
    spec: &HostSpec,
    functions: &[Function],
    ten_mb: f64,
    ten_pages: Option<(usize, BTreeSet<u64>)>,
) {
    let host = match ForkServer::start(spec) {
        Ok(host) => host,
        Err(why) => return println!("  memory: skipped, {why}"),
    };
    let idle_pids = host.pids();
    let idle = held(&idle_pids);
    let idle_pages = together(&idle_pids);
    let limits = CallLimits { time: Duration::from_secs(60), ..CallLimits::default() };
    let (event, environment): (Value, BTreeMap<String, String>) = (json!({"ms": HOLD_MS}), BTreeMap::new());
    let group = bench.group();
    let (seen, answers) = std::thread::scope(|scope| {
        let calls: Vec<_> = functions
            .iter()
            .map(|function| {
                let (host, limits, event, environment) = (&host, &limits, &event, &environment);
                let slot = group.as_ref().and_then(|group| {
                    group.take(warmset::live::sandbox::Limits { pids: Some(256), cpus: None, memory_mb: None }).ok()
                });
                scope.spawn(move || {
                    host.invoke(&Call {
                        id: "1",
                        function: "f",
                        handler: &function.handler,
                        event,
                        environment,
                        code: &function.code,
                        closure: None,
                        limits,
                        slot: slot.as_ref(),
                        network: false,
                        since: None,
                    })
                })
            })
            .collect();
        // All are there, and have imported what they import.
        let end = Instant::now() + Duration::from_millis(HOLD_MS * 3 / 4);
        while host.pids().len() < idle_pids.len() + functions.len() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(HOLD_MS / 2));
        let children: Vec<u32> = host.pids().into_iter().filter(|pid| !idle_pids.contains(pid)).collect();
        let all: Vec<u32> = idle_pids.iter().chain(&children).copied().collect();
        let seen = (children.len(), held(&all), held(&children), together(&children));
        let answers: Vec<Result<Answer, HostError>> =
            calls.into_iter().map(|call| call.join().expect("a call's thread")).collect();
        (seen, answers)
    });
    for answer in answers {
        match answer {
            Ok(answer) if answer.ok => {}
            Ok(answer) => println!("  a call failed: {}", answer.error.unwrap_or_default()),
            Err(why) => println!("  a call failed: {why}"),
        }
    }
    let (children, all, forked, child_pages) = seen;
    let each = (all.pss - idle.pss) / children.max(1) as f64;
    println!(
        "  live (PSS)           {ten_mb:9.1} MB own   {:9.1} MB shared, nothing called  {}",
        idle.pss,
        saved(idle.pss, ten_mb)
    );
    println!(
        "    with all called                      {:9.1} MB shared + {children} forked    {}",
        all.pss,
        saved(all.pss, ten_mb)
    );
    println!(
        "    a called function adds {each:.1} MB (private and dirty {:.1} MB)",
        forked.private_dirty / children.max(1) as f64
    );
    let (Some((ten_count, ten)), Some((one_count, one)), Some((_, child))) = (ten_pages, idle_pages, child_pages)
    else {
        return println!("  pages of a checkpoint: skipped, this user may not read them");
    };
    let difference = child.difference(&one).count();
    println!(
        "  pages of a checkpoint{:9.1} MB own   {:9.1} MB shared + sources       {}",
        mb_of(ten_count),
        mb_of(one_count),
        saved(mb_of(one_count), mb_of(ten_count))
    );
    println!(
        "    each page once     {:9.1} MB own ({})   shared + page differences {:.1} MB ({})",
        mb_of(ten.len()),
        saved(mb_of(ten.len()), mb_of(ten_count)),
        mb_of(one_count + difference),
        saved(mb_of(one_count + difference), mb_of(ten_count))
    );
}

/// Node cannot fork: what can be shared is the files that processes map, which is little beside their heaps.
fn shared_node(shared: &HostSpec, own: &[PathBuf], spec: &dyn Fn(&Path) -> HostSpec, ten_mb: f64) {
    let pool: Result<Vec<NodeProcess>, HostError> = own.iter().map(|_| NodeProcess::start(shared)).collect();
    match pool {
        Ok(pool) => {
            let pids: Vec<u32> = pool.iter().flat_map(NodeProcess::pids).collect();
            let mb = held(&pids).pss;
            println!(
                "  live (PSS)           {ten_mb:9.1} MB own   {mb:9.1} MB, as many processes of one image  {}",
                saved(mb, ten_mb)
            );
        }
        Err(why) => println!("  memory: skipped, {why}"),
    }
    if let Some(Ok(one)) = own.first().map(|packages| NodeProcess::start(&spec(packages))) {
        let mb = held(&one.pids()).pss;
        println!(
            "    a pool of one takes {mb:9.1} MB    {}: processes share no pages, but functions that are not called\n    \
             at the same time share the process that waits",
            saved(mb, ten_mb)
        );
    }
}
