// One measured load in a fresh process, for scripts/measure_prior.mjs, which starts it with a job as JSON:
//
//   {"mode": "cpu" | "rss" | "whole" | "pool", "base": FILE, "load": [{"spec", "how": "require" | "import", "of"}], "handler": {"file", "how"}}
//
// cpu, rss   charge every stretch of time (or growth of resident memory) to the package whose code ran in it
// whole      the same loads without any hook: what the charges must add up to
// pool       load, wait on a socket, load the handler when told to: the node-pool way of swapping
//
// How a stretch is charged. CommonJS: `Module.prototype.load` is wrapped, which reads, compiles and runs one file;
// a stack of owners gives what a nested `require` takes to the nested file's package. ES modules: a synchronous
// `load` hook marks where a file is fetched, and what follows up to the next mark (parsing) is its own; running is
// marked by a call put before and behind the module's text, as imports have run before the first statement.
// Node 20 has no such hooks: what an import there takes beyond CommonJS files goes to the package imported.
// Finding a file is paid by the package that asks for it, at the top level by the package that is found. Builtins
// (`http`, `crypto` …) load at first use, so the first asker would pay for all: their cost is shared evenly by
// the packages of the closure that ask for them.
"use strict";
const fs = require("fs");
const Module = require("module");

const job = JSON.parse(process.argv[2]);
const PAGE_MB = 4096 / 1e6; // x86_64 and the usual arm64 kernels; the driver refuses others
const statm = fs.openSync("/proc/self/statm", "r");
const buffer = Buffer.alloc(128);

function residentMb() {
  const size = fs.readSync(statm, buffer, 0, 128, 0);
  let at = buffer.indexOf(32) + 1;
  let pages = 0;
  for (; at < size && buffer[at] !== 32; at++) pages = pages * 10 + buffer[at] - 48;
  return pages * PAGE_MB;
}

/** All threads of the process, so that compiling and collecting in the background counts. */
function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const gauge = job.mode === "rss" ? residentMb : cpuMs;
const ROOT = "";
const charges = new Map([[ROOT, 0]]);
const requests = new Map(); // owner → specifiers by which other packages asked for it
const askers = new Map(); // builtin → packages that asked for it
const owners = new Map();
let current = ROOT;
let last = 0;

/** The package folder of a file under node_modules, or ROOT for the function's own files. */
function ownerOf(file) {
  const cut = file.lastIndexOf("/");
  const dir = cut < 0 ? "" : file.slice(0, cut);
  let owner = owners.get(dir);
  if (owner === undefined) {
    const found = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(dir);
    owner = found ? found[0] : ROOT;
    owners.set(dir, owner);
  }
  return owner;
}

function charge(owner) {
  const now = gauge();
  charges.set(owner, (charges.get(owner) || 0) + now - last);
  last = gauge(); // the bookkeeping itself is nobody's
}

function asked(owner, spec) {
  if (owner === ROOT || spec.startsWith(".") || spec.startsWith("/") || spec.startsWith("file:")) return;
  if (!requests.has(owner)) requests.set(owner, new Set());
  requests.get(owner).add(spec);
}

const builtinName = (request) => `node:${request.replace(/^node:/, "")}`;

/** Notes who asks for a builtin; true the first time, which is when it loads. */
function first(builtin, owner) {
  const known = askers.get(builtin);
  if (known) {
    known.add(owner);
    return false;
  }
  askers.set(builtin, new Set([owner]));
  return true;
}

function shareBuiltins() {
  for (const [builtin, by] of askers) {
    const packages = [...by].filter((owner) => owner.startsWith("/"));
    if (packages.length === 0) packages.push(ROOT);
    const each = (charges.get(builtin) || 0) / packages.length;
    for (const owner of packages) charges.set(owner, (charges.get(owner) || 0) + each);
    charges.delete(builtin);
  }
}

const hooked = typeof Module.registerHooks === "function" && job.load.some((l) => l.how === "import");
const pathOf = (url) => (url.startsWith("file://") ? decodeURIComponent(url.slice(7)) : url);

function trace() {
  const load = Module.prototype.load;
  Module.prototype.load = function (filename) {
    const outer = current;
    charge(outer);
    current = ownerOf(filename);
    try {
      return load.call(this, filename);
    } finally {
      charge(current);
      current = outer;
    }
  };
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    if (current === ROOT) charge(ROOT);
    const file = resolve.call(this, request, ...rest);
    const owner = ownerOf(file);
    if (current === ROOT) charge(owner);
    if (owner !== current) asked(owner, request);
    return file;
  };
  const loadAny = Module._load;
  Module._load = function (request, ...rest) {
    if (!Module.isBuiltin(request) || !first(builtinName(request), current)) return loadAny.call(this, request, ...rest);
    const outer = current;
    charge(outer);
    current = builtinName(request);
    try {
      return loadAny.call(this, request, ...rest);
    } finally {
      charge(current);
      current = outer;
    }
  };
  if (!hooked) return;


  globalThis[Symbol.for("warmset.begin")] = (owner) => {
    charge(current);
    current = owner;
  };
  globalThis[Symbol.for("warmset.end")] = () => {
    charge(current);
    current = ROOT;
  };
  Module.registerHooks({
    resolve(spec, context, next) {
      const from = context.parentURL ? ownerOf(pathOf(context.parentURL)) : ROOT;
      charge(current);
      const found = next(spec, context);
      if (!found.url.startsWith("file:")) {
        if (Module.isBuiltin(found.url)) first(builtinName(found.url), from);
        return found;
      }
      const owner = ownerOf(pathOf(found.url));
      current = from === ROOT ? owner : from;
      if (owner !== from) asked(owner, spec);
      charge(current);
      return found;
    },
    load(url, context, next) {
      charge(current);
      const owner = Module.isBuiltin(url) ? builtinName(url) : ownerOf(pathOf(url));
      current = owner;
      const found = next(url, context);
      if (found.format === "module" && found.source) {
        const name = JSON.stringify(owner);
        // On the first line, so that places in stack traces stay right.
        found.source = `globalThis[Symbol.for("warmset.begin")](${name});${found.source}\n;globalThis[Symbol.for("warmset.end")]();`;
      }
      return found;
    },
  });
}

const tracing = job.mode === "cpu" || job.mode === "rss";

async function loadAll() {
  const from = Module.createRequire(job.base);
  for (const { spec, how, of } of job.load) {
    if (how === "require") {
      from(spec);
      continue;
    }
    if (tracing && of) {
      const owner = ownerOf(from.resolve(of));
      charge(current);
      current = owner;
      asked(owner, of);
      await import(spec);
      charge(owner);
      current = ROOT;
    } else await import(spec);
  }
}

async function pool() {
  const net = require("net");
  await loadAll();
  const socket = net.connect(job.socket);
  socket.once("data", async (text) => {
    const before = cpuMs();
    const { handler } = JSON.parse(text);
    if (handler?.how === "require") Module.createRequire(job.base)(handler.file);
    else if (handler) await import(`file://${handler.file}`);
    socket.end(JSON.stringify({ cpu: cpuMs() - before, resident }));
  });
  await new Promise((connected) => socket.once("connect", connected));
  const resident = residentMb();
  socket.write("ready");
}

async function main() {
  if (job.mode === "pool") return pool();
  const started = { cpu: cpuMs(), rss: residentMb() };
  if (tracing) {
    trace();
    last = gauge();
  }
  await loadAll();
  if (tracing) {
    charge(current);
    shareBuiltins();
  }
  const whole = { cpu: cpuMs() - started.cpu, rss: residentMb() - started.rss };
  const seen = Object.fromEntries([...requests].map(([owner, specs]) => [owner, [...specs]]));
  fs.writeSync(1, JSON.stringify({ whole, charges: Object.fromEntries(charges), seen }));
  process.exit(0);
}

main().catch((error) => {
  fs.writeSync(2, String(error && error.stack));
  process.exit(1);
});
