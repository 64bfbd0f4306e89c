// Runs inside a measured environment: loads packages under a tracer, hands over to a handler after them, or calls one.
//
//   node probe.cjs MODE REQUEST ANSWER
//
// trace   load what REQUEST names, and charge every stretch of CPU time and growth of resident memory to whose code ran
// whole   the same loads without any hook: what the charges must add up to
// swap    start processes that load and then wait, one after the other, and say what each took to have a handler ready
// idle    the same with nothing loaded
// call    load, then call a handler several times, forget its own modules, and call it once more
//
// REQUEST is a file with a JSON object: `root` (the folder that holds node_modules), `load` [{spec, how: "require" | "import",
// file, base}], `then` likewise, `count`, `limit` (seconds), and for call `folder`, `handler`, `export`, `event` (a file). `file` is an ES module
// whose only statement imports spec, and `base` a file in the folder that spec is asked for in. ANSWER becomes a file with a JSON object.
//
// How a stretch is charged. CommonJS: `Module.prototype.load` is wrapped, which reads, compiles and runs one file;
// a stack of owners gives what a nested `require` takes to the nested file's package. ES modules: a synchronous
// `load` hook marks where a file is fetched, and what follows up to the next mark (parsing) is its own; running is
// marked by a call put before and behind the module's text, as imports have run before the first statement.
// Node 20 has no such hooks: what an import there takes beyond CommonJS files goes to the package imported.
// Resident memory grows in steps of megabytes when V8 makes room, at a place that says nothing of whose objects fill it. So a
// stretch is charged with what it adds to the objects in the heap, and with what the process grows outside of the heap.
// Finding a file is paid by the package that asks for it, at the top level by the package that is found. Builtins
// (`http`, `crypto` …) are told apart, with the packages that ask for them: whoever came first did not choose to.
"use strict";
const fs = require("fs");
const Module = require("module");
const v8 = require("v8");

const [mode, requestFile, answerFile] = process.argv.slice(2);
const request = JSON.parse(fs.readFileSync(requestFile, "utf8"));
const root = request.root;
const base = `${root}/index.js`;
const statm = fs.openSync("/proc/self/statm", "r");
const buffer = Buffer.alloc(128);
// Not asked of another program: pages of 4096 bytes are what the driver has checked, or it says how large they are.
const PAGE = request.page || 4096;

function resident() {
  const size = fs.readSync(statm, buffer, 0, 128, 0);
  let at = buffer.indexOf(32) + 1;
  let pages = 0;
  for (; at < size && buffer[at] !== 32; at++) pages = pages * 10 + buffer[at] - 48;
  return pages * PAGE;
}

/** Nanoseconds of all threads of the process, so that compiling and collecting in the background counts. */
function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

const ROOT = "";
const charges = new Map(); // owner → [ns, bytes]
const requests = new Map(); // owner → specifiers by which other packages asked for it
const askers = new Map(); // builtin → packages that asked for it
const owners = new Map();
let current = ROOT;
let lastCpu = 0;
let lastHeap = 0;
let lastOutside = 0;

/** The package folder of a file below the root, relative to it, or ROOT for what belongs to none. */
function ownerOf(file) {
  const cut = file.lastIndexOf("/");
  const dir = cut < 0 ? "" : file.slice(0, cut);
  let owner = owners.get(dir);
  if (owner === undefined) {
    const found = dir.startsWith(`${root}/`) ? /^.*(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+/.exec(dir.slice(root.length + 1)) : null;
    owner = found ? found[0] : ROOT;
    owners.set(dir, owner);
  }
  return owner;
}

function mark() {
  const heap = v8.getHeapStatistics();
  lastOutside = resident() - heap.total_physical_size;
  lastHeap = heap.used_heap_size;
  lastCpu = cpu();
}

function charge(owner) {
  const now = cpu();
  const heap = v8.getHeapStatistics();
  let sums = charges.get(owner);
  if (sums === undefined) charges.set(owner, (sums = [0, 0]));
  sums[0] += now - lastCpu;
  // A collection in between frees what others left.
  sums[1] += Math.max(0, heap.used_heap_size - lastHeap) + resident() - heap.total_physical_size - lastOutside;
  mark(); // the bookkeeping itself is nobody's
}

function asked(owner, spec) {
  if (owner === ROOT || spec.startsWith(".") || spec.startsWith("/") || spec.startsWith("#") || spec.startsWith("file:")) return;
  if (!requests.has(owner)) requests.set(owner, new Set());
  requests.get(owner).add(spec);
}

const builtinName = (name) => `node:${name.replace(/^node:/, "")}`;

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

const hooked = typeof Module.registerHooks === "function";
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
  Module._resolveFilename = function (name, ...rest) {
    if (current === ROOT) charge(ROOT);
    const file = resolve.call(this, name, ...rest);
    const owner = ownerOf(file);
    if (current === ROOT) charge(owner);
    if (owner !== current) asked(owner, name);
    return file;
  };
  const loadAny = Module._load;
  Module._load = function (name, ...rest) {
    if (!Module.isBuiltin(name) || !first(builtinName(name), current)) return loadAny.call(this, name, ...rest);
    const outer = current;
    charge(outer);
    current = builtinName(name);
    try {
      return loadAny.call(this, name, ...rest);
    } finally {
      charge(current);
      current = outer;
    }
  };
  if (!hooked || ![...request.load, ...(request.then ?? [])].some((l) => l.how === "import")) return;

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

const tracing = mode === "trace";
const failed = [];
const failedThen = [];

/** Loads as the warm host does: what cannot be required because it is an ES module is imported. */
async function loadOne(from, load) {
  const { spec, how, file } = load;
  if (how === "require") {
    try {
      from(spec);
      return;
    } catch (problem) {
      const esmOnly = ["ERR_REQUIRE_ESM", "ERR_REQUIRE_ASYNC_MODULE", "ERR_PACKAGE_PATH_NOT_EXPORTED"];
      if (!esmOnly.includes(problem?.code)) throw problem;
    }
  }
  if (!tracing || hooked) {
    await import(file);
    return;
  }
  let owner = ROOT;
  try {
    owner = ownerOf(from.resolve(spec));
  } catch {
    // Only its `import` condition leads anywhere: the folder of that name is the package.
    const name = /^(?:@[^/]+\/)?[^/]+/.exec(spec)[0];
    const folder = `${load.base.slice(0, -"/index.js".length)}/node_modules/${name}`;
    if (fs.existsSync(`${folder}/package.json`)) owner = folder.slice(root.length + 1);
  }
  charge(current);
  current = owner;
  asked(owner, spec);
  try {
    await import(file);
  } finally {
    charge(owner);
    current = ROOT;
  }
}

const describe = (problem) => (problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem)).split("\n")[0];

async function loadAll(loads, failures) {
  for (const load of loads) {
    try {
      await loadOne(Module.createRequire(load.base), load);
    } catch (problem) {
      current = ROOT;
      failures.push([load.spec, describe(problem)]);
    }
  }
}

const told = () => ({
  charges: Object.fromEntries([...charges].map(([owner, sums]) => [owner, [...sums]])),
  askers: Object.fromEntries([...askers].map(([builtin, by]) => [builtin, [...by]])),
  seen: Object.fromEntries([...requests].map(([owner, specs]) => [owner, [...specs]])),
});

async function traced() {
  trace();
  mark();
  await loadAll(request.load, failed);
  charge(current);
  const loads = told();
  if (!request.then) return { ...loads, failed };
  current = ROOT;
  charges.clear();
  askers.clear();
  mark();
  await loadAll(request.then, failedThen);
  charge(current);
  return { ...loads, failed, then: told(), failed_then: failedThen };
}

async function whole() {
  const bytes = resident();
  const used = cpu();
  await loadAll(request.load, failed);
  return { cpu: cpu() - used, bytes: resident() - bytes, failed };
}

const HANDLER = "exports.handler = (event) => JSON.stringify({ items: [...Array(event.n).keys()].map(String) });";

/** Waits, loaded, for one hand-over on the socket that the environment names. */
async function pool() {
  const net = require("net");
  await loadAll(request.load, failed);
  const socket = net.connect(process.env.WARMSET_SWAP);
  socket.once("data", () => {
    const before = cpu();
    Module.createRequire(base)(process.env.WARMSET_HANDLER).handler({ n: 50 });
    socket.end(JSON.stringify({ cpu: cpu() - before, bytes }));
  });
  await new Promise((connected) => socket.once("connect", connected));
  const bytes = resident();
  socket.write("ready");
  await new Promise((closed) => socket.once("close", closed));
}

/** One process that loads, falls idle and is handed a handler. */
function swapOnce(net, spawn) {
  const socketPath = `${answerFile}.sock`;
  fs.rmSync(socketPath, { force: true });
  const handler = `${answerFile}.handler.js`;
  fs.writeFileSync(handler, HANDLER);
  const env = { ...process.env, WARMSET_SWAP: socketPath, WARMSET_HANDLER: handler };
  return new Promise((done, fail) => {
    let child;
    const server = net.createServer((socket) => {
      let text = null;
      socket.on("data", (data) => {
        if (text === null) {
          text = "";
          setTimeout(() => socket.write("now"), 50);
        } else text += data;
      });
      socket.on("end", () => {
        server.close();
        socket.end();
        child.once("close", () => done(JSON.parse(text)));
      });
      socket.on("error", fail);
    });
    server.listen(socketPath, () => {
      child = spawn(process.execPath, [__filename, "pool", requestFile, answerFile], { env, cwd: process.cwd(), stdio: "ignore" });
      child.once("exit", (status) => status !== 0 && fail(new Error(`a waiting process ended with status ${status}`)));
    });
  });
}

async function swap() {
  const net = require("net");
  const { spawn } = require("child_process");
  const got = [];
  for (let n = 0; n < request.count; n++) got.push(await swapOnce(net, spawn));
  return { cpu: got.map((g) => g.cpu), bytes: got.map((g) => g.bytes), failed };
}

function refuseNetwork() {
  const net = require("net");
  const refused = function () {
    const problem = Object.assign(new Error("a measured handler has no network"), { code: "ECONNREFUSED", syscall: "connect" });
    process.nextTick(() => this.destroy(problem));
    return this;
  };
  net.Socket.prototype.connect = refused;
}

const context = { awsRequestId: "warmset", functionName: "warmset", callbackWaitsForEmptyEventLoop: false, getRemainingTimeInMillis: () => 60_000 };

function callHandler(handler, event) {
  if (handler.length < 3) return handler(event, context);
  return new Promise((resolve, reject) => {
    const returned = handler(event, context, (problem, result) => (problem ? reject(problem) : resolve(result)));
    if (typeof returned?.then === "function") returned.then(resolve, reject);
  });
}

async function call() {
  await loadAll(request.load, failed);
  process.chdir(request.folder);
  refuseNetwork();
  const cache = Module._cache;
  const below = (file) => file.startsWith(`${root}/node_modules/`);
  const before = new Set(Object.keys(cache));
  const bytes = resident();
  const text = fs.readFileSync(request.event, "utf8");
  const url = `file://${request.handler}`;
  let handler;
  const once = async (fresh) => {
    const event = JSON.parse(text);
    const used = cpu();
    if (fresh !== null) {
      const module = await import(fresh === 0 ? url : `${url}?warmset=${fresh}`);
      handler = request.export.split(".").reduce((value, part) => value?.[part], module[request.export] ? module : (module.default ?? module));
      if (typeof handler !== "function") throw new TypeError(`it exports no function ${request.export}`);
    }
    await callHandler(handler, event);
    return cpu() - used;
  };
  const first = await once(0);
  const added = Object.keys(cache).filter((file) => !before.has(file) && below(file));
  const later = [];
  for (let n = 0; n < request.calls; n++) later.push(await once(null));
  for (const file of Object.keys(cache)) if (file.startsWith(`${request.folder}/`)) delete cache[file];
  const grown = resident() - bytes;
  const again = await once(1);
  const relative = (files) => files.map((file) => file.slice(root.length + 1)).sort();
  return { first, later, again, bytes: grown, modules: relative(added), files: relative(Object.keys(cache).filter(below)), failed };
}

async function main() {
  // Whoever started this sees to the time; if that is killed, nobody else does.
  if (request.limit) setTimeout(() => process.exit(1), request.limit * 1000).unref();
  if (mode === "pool") return pool();
  if (mode === "idle") request.load = [];
  const modes = { trace: traced, whole, swap, idle: swap, call };
  const answer = await modes[mode]();
  fs.writeFileSync(answerFile, JSON.stringify(answer));
  process.exit(0);
}

main().then(
  () => process.exit(0),
  (error) => {
    fs.writeSync(2, String(error && error.stack));
    process.exit(1);
  },
);
