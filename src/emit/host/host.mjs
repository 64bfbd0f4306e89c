// The warm host of a Node image: loads the image's modules, waits for one request, runs it, answers and ends.
//
//   node host.mjs PRELOAD                  load, listen on $WARMSET_SOCKET (default /run/warmset/host.sock), serve one request
//   node host.mjs PRELOAD --check          load, print {"loaded", "ms", "rss_mb"} as JSON, end
//   node host.mjs PRELOAD --once REQUEST   load, answer the one request in the file REQUEST (`-` is standard input), end
//
// A connection carries one request and one answer, each a JSON object on a line of its own:
//   {"id", "path", "handler", "event", "environment", "function", "timeout_ms"}   `path` is the code folder, `handler` is `file.export`
//   {"id", "ok": true, "result", "load_ms", "run_ms"}  or  {"id", "ok": false, "error", "traceback"}
// A connection that closes before it has sent a line is a probe and gets no answer. A process serves once, so that no
// state can pass from one invocation to the next: a runtime keeps a pool of them, each with a socket of its own.
// What the host itself has to say goes to standard error, one JSON object a line. Exit status: 0 done, 1 a module or
// the request failed, 2 called wrongly.
//
// This file stands beside node_modules: `require` and `import` of the host, and of code in a folder below, find it there.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import Module, { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import v8 from "node:v8";
import vm from "node:vm";

const DEFAULT_SOCKET = "/run/warmset/host.sock";
const MAX_REQUEST = 64 * 1024 * 1024;
const READ_MS = 30_000;
const LEAVE_MS = 1_000;
const require = createRequire(import.meta.url);

const say = (fields) => fs.writeSync(2, JSON.stringify(fields) + "\n");
const describe = (problem) => (problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem));

function fail(status, fields) {
  say({ level: "error", ...fields });
  process.exit(status);
}

// Functions of the image may load a module either way. CommonJS first, as most packages are loaded by `require`; then
// `import`, which takes a build of its own where a package has one, and else finds out once what CommonJS exports.
async function load(name) {
  let loaded;
  try {
    loaded = require(name);
  } catch (problem) {
    const esmOnly = ["ERR_REQUIRE_ESM", "ERR_REQUIRE_ASYNC_MODULE", "ERR_PACKAGE_PATH_NOT_EXPORTED"];
    if (!esmOnly.includes(problem?.code)) throw problem;
    return await import(name);
  }
  try {
    await import(name);
  } catch (problem) {
    // `pg/lib/utils` has no such name for `import`, which takes file names with their ending.
    const requireOnly = ["ERR_MODULE_NOT_FOUND", "ERR_UNSUPPORTED_DIR_IMPORT", "ERR_PACKAGE_PATH_NOT_EXPORTED"];
    if (!requireOnly.includes(problem?.code)) say({ level: "warning", module: name, error: describe(problem) });
  }
  return loaded;
}

// A handler's own file. `import` takes either kind and some milliseconds more for CommonJS, so that goes by `require`.
async function loadFile(file) {
  if (!isModule(file)) {
    try {
      return require(file);
    } catch (problem) {
      // Its syntax may be that of a module all the same; then nothing of it has run.
      if (!(problem instanceof SyntaxError)) throw problem;
    }
  }
  return await import(pathToFileURL(file));
}

function isModule(file) {
  if (!file.endsWith(".js")) return file.endsWith(".mjs");
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    if (fs.existsSync(manifest)) return JSON.parse(fs.readFileSync(manifest, "utf8")).type === "module";
    if (folder === path.dirname(folder)) return false;
  }
}

async function preload(file) {
  let spec;
  try {
    spec = JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (problem) {
    fail(2, { error: `cannot read ${file}: ${describe(problem)}` });
  }
  if (spec.schema !== "warmset.preload/1" || spec.language !== "node") {
    fail(2, { error: `${file} is not a Node preload list of schema warmset.preload/1` });
  }
  const started = process.cpuUsage();
  const loaded = [];
  for (const entry of spec.modules) {
    const name = typeof entry === "string" ? entry : entry.module;
    const optional = typeof entry === "string" ? false : Boolean(entry.optional);
    try {
      await load(name);
      loaded.push(name);
    } catch (problem) {
      if (!optional) fail(1, { module: name, error: describe(problem) });
      say({ level: "warning", module: name, error: describe(problem) });
    }
  }
  for (const { module, call, function: of } of spec.warmup ?? []) {
    if (of !== undefined) {
      // Modules cannot be forgotten here as they can in Python: a handler's own state would stay.
      say({ level: "info", module, call, left_out: "a handler is not called ahead of time" });
      continue;
    }
    try {
      const target = call.split(".").reduce((value, part) => value[part], await load(module));
      await target();
    } catch (problem) {
      say({ level: "warning", module, call, error: describe(problem) }); // it costs time later, and nothing else
    }
  }
  // The first import takes what the loader itself takes.
  await import("data:text/javascript,");
  const spent = process.cpuUsage(started);
  const rss = process.memoryUsage.rss();
  return { loaded, ms: (spent.user + spent.system) / 1000, rss_mb: Math.round(rss / 1000) / 1000 };
}

// `src/orders.create` is the export `create` of src/orders.js, .mjs or .cjs, or of the index of a folder src/orders.
function handlerFile(folder, handler) {
  const slash = handler.lastIndexOf("/");
  const dot = handler.indexOf(".", slash + 1);
  if (dot < 0) throw new TypeError(`a handler is written file.export, not ${JSON.stringify(handler)}`);
  const stem = path.join(folder, handler.slice(0, dot));
  for (const end of [".js", ".mjs", ".cjs", "/index.js", "/index.mjs", "/index.cjs"]) {
    if (fs.existsSync(stem + end)) return [stem + end, handler.slice(dot + 1)];
  }
  throw new Error(`no file ${handler.slice(0, dot)}.js, .mjs or .cjs in ${folder}`);
}

function callHandler(handler, event, context) {
  if (handler.length < 3) return handler(event, context);
  // A third parameter is a callback, unless the function is async and returns a promise all the same.
  return new Promise((resolve, reject) => {
    const callback = (problem, result) => (problem ? reject(problem) : resolve(result));
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") returned.then(resolve, reject);
  });
}

// When the last package that a CommonJS module asks for was there: what its own code does then is not loading.
function watchPackages() {
  const original = Module.prototype.require;
  let inside = false;
  let last = null;
  Module.prototype.require = function require(id) {
    if (inside || typeof id !== "string" || /^[./]/.test(id) || Module.isBuiltin(id)) return original.call(this, id);
    inside = true;
    try {
      return original.call(this, id);
    } finally {
      inside = false;
      last = performance.now();
    }
  };
  return {
    leave: () => void (Module.prototype.require = original),
    after: (ready) => (last === null ? {} : { own_ms: Math.round((ready - last) * 1000) / 1000 }),
  };
}

// `sinceSent` says how long ago the request was made; then the answer says when its dependencies were ready.
async function run(request, sinceSent = null) {
  const id = request?.id ?? null;
  try {
    if (typeof request !== "object" || request === null || Array.isArray(request)) {
      throw new TypeError("a request is a JSON object");
    }
    if ((request.op ?? "invoke") !== "invoke") {
      throw new TypeError(`unknown op ${JSON.stringify(request.op)}: this host knows invoke`);
    }
    if (typeof request.path !== "string" || typeof request.handler !== "string") {
      throw new TypeError("a request needs path and handler");
    }
    for (const [name, value] of Object.entries(request.environment ?? {})) process.env[name] = String(value);
    const folder = path.resolve(request.path);
    process.chdir(folder);
    const [file, name] = handlerFile(folder, request.handler);
    const deadline = request.timeout_ms === undefined ? null : performance.now() + request.timeout_ms;
    const context = {
      awsRequestId: id,
      functionName: request.function ?? null,
      callbackWaitsForEmptyEventLoop: false,
      getRemainingTimeInMillis: () => (deadline === null ? 0 : Math.max(0, Math.floor(deadline - performance.now()))),
    };
    const started = performance.now();
    const packages = sinceSent && watchPackages();
    const module = await loadFile(file).finally(() => packages?.leave());
    const handler = name.split(".").reduce((value, part) => value?.[part], module[name] ? module : (module.default ?? module));
    if (typeof handler !== "function") throw new TypeError(`${file} has no function ${name}`);
    const ready = performance.now();
    const more = sinceSent ? { ready_ms: sinceSent(), ...packages.after(ready) } : {};
    const result = (await callHandler(handler, request.event, context)) ?? null;
    const round = (ms) => Math.round(ms * 1000) / 1000;
    const times = { load_ms: round(ready - started), run_ms: round(performance.now() - ready) };
    return JSON.stringify({ id, ok: true, result, ...times, ...more });
  } catch (problem) {
    return failure(id, problem);
  }
}

function failure(id, problem) {
  return JSON.stringify({ id, ok: false, error: describe(problem), traceback: String(problem?.stack ?? "") });
}

// One request, then the end. Until a line has come, other connections (probes) may come and go.
function serve(socketPath, report) {
  let taken = false;
  const leave = (status) => {
    // The function may have left timers or connections open: they end with it.
    server.close();
    fs.rmSync(socketPath, { force: true });
    process.exit(status);
  };
  const server = net.createServer({ allowHalfOpen: true }, (connection) => {
    const chunks = [];
    let size = 0;
    const answer = (reply) => {
      // The caller may have gone, or may not read: neither keeps the process.
      setTimeout(() => leave(0), LEAVE_MS);
      connection.end(reply + "\n", () => leave(0));
    };
    connection.on("error", () => connection.destroy());
    connection.setTimeout(READ_MS, () => connection.destroy());
    connection.on("end", () => {
      if (!connection.taken) connection.destroy();
    });
    connection.on("data", (chunk) => {
      if (connection.taken) return;
      chunks.push(chunk);
      size += chunk.length;
      const end = chunk.indexOf(10);
      if (end < 0 && size <= MAX_REQUEST) return;
      if (taken) {
        connection.end(failure(null, new Error("this process has already taken a request")) + "\n");
        connection.taken = true;
        return;
      }
      const line = Buffer.concat(chunks).subarray(0, size - chunk.length + Math.max(end, 0)).toString("utf8");
      if (end >= 0 && line.trim() === "") {
        connection.destroy();
        return;
      }
      connection.taken = taken = true;
      connection.setTimeout(0);
      fs.rmSync(socketPath, { force: true });
      const once = (problem) => answer(failure(null, problem));
      // What a function throws outside its promise must still be answered.
      process.once("uncaughtException", once);
      process.once("unhandledRejection", once);
      if (size > MAX_REQUEST) return answer(failure(null, new RangeError(`the request is larger than ${MAX_REQUEST} bytes`)));
      let request;
      try {
        request = JSON.parse(line);
      } catch (problem) {
        return answer(failure(null, problem));
      }
      run(request).then(answer);
    });
  });
  server.on("error", (problem) =>
    fail(1, { error: `cannot listen on ${socketPath}: ${problem.message} (set WARMSET_SOCKET to a writable place)` }),
  );
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => leave(0));
  const listen = () => server.listen(socketPath, () => say({ level: "info", ready: socketPath, pid: process.pid, ...report }));
  if (!fs.existsSync(socketPath)) return listen();
  // A socket that a killed host left behind is removed; one that answers is another host's.
  const probe = net.connect(socketPath);
  probe.on("connect", () => fail(1, { error: `another host already listens on ${socketPath}` }));
  probe.on("error", (problem) => {
    if (problem.code === "ECONNREFUSED") fs.rmSync(socketPath, { force: true });
    listen();
  });
}

// A call of a handler that does nothing, before any comes: the first takes what compiling the way to it takes.
async function rehearse({ op, ...request }, sinceSent) {
  const before = process.cwd();
  let folder;
  try {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "warmset-rehearsal-"));
    fs.writeFileSync(path.join(folder, "package.json"), "{}");
    fs.writeFileSync(path.join(folder, "a.js"), "exports.handler = async (event) => ({ event });\n");
    fs.writeFileSync(path.join(folder, "b.mjs"), "export const handler = async (event) => ({ event });\n");
    const replies = [];
    for (const handler of ["a.handler", "b.handler"]) replies.push(await run({ ...request, path: folder, handler }, sinceSent));
    delete require.cache[require.resolve(path.join(folder, "a.js"))];
    return replies.find((reply) => !JSON.parse(reply).ok) ?? replies[0];
  } catch (problem) {
    return failure(null, problem); // it costs time later, and nothing else
  } finally {
    process.chdir(before);
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

// A process that was thawed from a checkpoint has the random numbers of all others from the same one. OpenSSL's come from
// the processor if it was configured so (a runtime looks whether they differ); V8 keeps its own, which are seeded anew for
// a new context only.
function renew() {
  const random = randomBytes(16);
  v8.setFlagsFromString(`--random-seed=${(random.readUInt32LE() >>> 1) | 1}`);
  Math.random = vm.runInNewContext("Math.random");
  return `${random.toString("hex")} ${Math.random()}`;
}

// A runtime that has started this process itself gives it a descriptor instead of a socket's name: on it the host says
// that it is ready, rehearses if it is asked to, and takes and answers its one request. The descriptor's other end closing
// ends the process.
function attend(descriptor, report) {
  const connection = new net.Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
  const chunks = [];
  let taken = false;
  const answer = (reply) => connection.end(reply + "\n", () => process.exit(0));
  connection.on("error", () => process.exit(0));
  connection.on("end", () => {
    if (!taken) process.exit(0);
  });
  connection.on("data", (chunk) => {
    chunks.push(chunk);
    if (taken || chunk.indexOf(10) < 0) return;
    taken = true;
    const once = (problem) => answer(failure(null, problem));
    process.once("uncaughtException", once);
    process.once("unhandledRejection", once);
    let request;
    try {
      request = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    } catch (problem) {
      return answer(failure(null, problem));
    }
    if (request.thawed) {
      try {
        const random = renew();
        if (request.op === "thawed") return answer(JSON.stringify({ id: null, ok: true, result: random }));
      } catch (problem) {
        return answer(failure(null, problem));
      }
    }
    const sent = BigInt(request.sent_ns ?? process.hrtime.bigint());
    const sinceSent = () => Number((process.hrtime.bigint() - sent) / 1000n) / 1000;
    if (request.op !== "rehearse") return void run(request, sinceSent).then(answer);
    rehearse(request, sinceSent).then((reply) => {
      process.removeListener("uncaughtException", once);
      process.removeListener("unhandledRejection", once);
      chunks.length = 0;
      taken = false;
      connection.write(reply + "\n");
    });
  });
  connection.write(JSON.stringify({ ready: { ...report, pid: process.pid, rehearses: true } }) + "\n");
}

const usage = "usage: node host.mjs PRELOAD [--check | --once REQUEST]";
const [file, ...mode] = process.argv.slice(2);
if (file === undefined || file.startsWith("-")) fail(2, { error: usage });
const report = await preload(file);
if (mode.length === 1 && mode[0] === "--check") {
  fs.writeSync(1, JSON.stringify(report) + "\n");
  process.exit(0);
} else if (mode.length === 2 && mode[0] === "--once") {
  let request;
  try {
    request = JSON.parse(fs.readFileSync(mode[1] === "-" ? 0 : mode[1], "utf8"));
  } catch (problem) {
    fail(1, { error: `cannot read the request: ${describe(problem)}` });
  }
  const reply = await run(request);
  fs.writeSync(1, reply + "\n");
  process.exit(JSON.parse(reply).ok ? 0 : 1);
} else if (mode.length > 0) {
  fail(2, { error: usage });
} else if (process.env.WARMSET_CONTROL !== undefined) {
  const descriptor = Number(process.env.WARMSET_CONTROL);
  delete process.env.WARMSET_CONTROL;
  attend(descriptor, report);
} else {
  serve(process.env.WARMSET_SOCKET ?? DEFAULT_SOCKET, report);
}
