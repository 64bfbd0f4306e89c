#!/usr/bin/env node
// Measures what loading the packages of the Node fixtures costs, and writes the prior table for Node.
//
//   node scripts/measure_prior.mjs --cache DIR --out src/cost/prior-node.json [--runs 9] [--only SUBSTRING]
//
// Each function's external imports are read from its source (esbuild's metafile: no types, siblings followed)
// and loaded in fresh processes, `runs` times traced for CPU time, traced for resident memory, and untraced.
// scripts/measure_prior_child.cjs says how time is charged to packages. Charges of a closure are scaled by
// untraced total / traced total, so that the tracer's own cost is in no package. Packages of a closure that no
// import reaches (an SDK's other credential providers) are then loaded by name, and say `"how": "direct"`; what
// has no code to load has only its size (`"how": "disk"`).
//
// ms = CPU milliseconds of all threads, MB = 10^6 bytes, `spread` = interquartile range / median of load_ms.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, existsSync, lstatSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { createServer } from "node:net";
import { cpus } from "node:os";
import { dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FUNCTIONS, install, interpreters, tool } from "./node_fleet.mjs";

const CHILD = join(dirname(fileURLToPath(import.meta.url)), "measure_prior_child.cjs");
const TIMEOUT_MS = 60_000;
const round = (x) => Math.round(x * 1000) / 1000;

// ---- statistics

const sorted = (xs) => [...xs].sort((a, b) => a - b);
function quantile(xs, q) {
  const s = sorted(xs);
  const at = (s.length - 1) * q;
  const low = Math.floor(at);
  return s[low] + (s[Math.ceil(at)] - s[low]) * (at - low);
}
const median = (xs) => quantile(xs, 0.5);
const typical = (xs) => round(median(xs));
const spread = (xs) => (median(xs) > 0 ? (quantile(xs, 0.75) - quantile(xs, 0.25)) / median(xs) : 0);
const sum = (xs) => xs.reduce((a, b) => a + b, 0);

/** Theil and Sen's line: the median of all slopes; a slope below zero is taken as none. */
function line(points) {
  const slopes = [];
  for (const [i, [x1, y1]] of points.entries()) {
    for (const [x2, y2] of points.slice(i + 1)) if (x1 !== x2) slopes.push((y2 - y1) / (x2 - x1));
  }
  const slope = Math.max(0, median(slopes));
  return { slope, base: Math.max(0, median(points.map(([x, y]) => y - slope * x))) };
}

function ranks(xs) {
  const order = xs.map((x, i) => [x, i]).sort((a, b) => a[0] - b[0]);
  const out = [];
  order.forEach(([, i], rank) => (out[i] = rank));
  return out;
}
function spearman(xs, ys) {
  const [a, b] = [ranks(xs), ranks(ys)];
  const mean = (a.length - 1) / 2;
  const cov = sum(a.map((x, i) => (x - mean) * (b[i] - mean)));
  return cov / sum(a.map((x) => (x - mean) ** 2));
}

// ---- what there is to load

/** External imports of a function in the order of its source, as `[{spec, dynamic}]`. */
async function importsOf(esbuild, root, entry) {
  const { metafile } = await esbuild.build({
    entryPoints: [join(root, entry)],
    absWorkingDir: root,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    metafile: true,
    write: false,
    logLevel: "error",
  });
  const found = new Map();
  const done = new Set();
  const walk = (file) => {
    if (done.has(file)) return;
    done.add(file);
    for (const { path, kind, external } of metafile.inputs[file].imports) {
      if (!external) walk(path);
      else if (!isBuiltin(path) && !found.has(path)) found.set(path, { spec: path, dynamic: kind === "dynamic-import" });
    }
  };
  walk(entry);
  return [...found.values()];
}

function isModule(file, top) {
  if (extname(file) !== ".js") return extname(file) === ".mjs";
  for (let dir = dirname(file); dir.startsWith(top); dir = dirname(dir)) {
    const manifest = join(dir, "package.json");
    if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, "utf8")).type === "module";
  }
  return false;
}

/** Every package installed under a root: `Map<folder, {id, name, disk}>`, nested and pnpm's store included. */
function packagesUnder(root) {
  const found = new Map();
  const size = (dir) => {
    let bytes = 0;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.name === "node_modules" || entry.isSymbolicLink()) continue;
      bytes += entry.isDirectory() ? size(join(dir, entry.name)) : lstatSync(join(dir, entry.name)).size;
    }
    return bytes;
  };
  const modules = (dir) => {
    if (!existsSync(dir)) return;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (!entry.isDirectory()) continue;
      if (entry.name === ".pnpm") for (const unit of readdirSync(path)) modules(join(path, unit, "node_modules"));
      else if (entry.name.startsWith("@")) modules(path);
      else if (existsSync(join(path, "package.json"))) {
        const { name, version } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
        found.set(path, { id: `npm:${name}@${version}`, name, disk: size(path) / 1e6 });
        modules(join(path, "node_modules"));
      }
    }
  };
  modules(join(root, "node_modules"));
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== "node_modules") modules(join(root, entry.name, "node_modules"));
  }
  return found;
}

// ---- running

function start(node, job, cwd) {
  const child = spawn(node.binary, [CHILD, JSON.stringify(job)], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  const text = { out: "", err: "" };
  child.stdout.on("data", (d) => (text.out += d));
  child.stderr.on("data", (d) => (text.err += d));
  return new Promise((done) => {
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      done({ status: status ?? signal, ...text });
    });
  });
}

async function measured(node, job, cwd) {
  const { status, out, err } = await start(node, job, cwd);
  if (status !== 0) throw new Error(err.split("\n").find((l) => /Error/.test(l)) ?? `exit status ${status}`);
  // A package may print while it loads; the answer is the last line.
  return JSON.parse(out.slice(out.lastIndexOf('{"whole"')));
}

/** One hand-over: wall and CPU time from the request to the handler being loaded, and memory before it. */
async function swapOnce(node, job, cwd, socketPath) {
  rmSync(socketPath, { force: true });
  let wall;
  const answer = new Promise((done, fail) => {
    const server = createServer((socket) => {
      let from;
      let text = "";
      socket.on("data", (data) => {
        if (from === undefined) {
          // Let the host fall idle first, as a pooled one is.
          from = 0;
          setTimeout(() => {
            from = performance.now();
            socket.write(JSON.stringify({ handler: job.handler }));
          }, 100);
        } else text += data;
      });
      socket.on("end", () => {
        wall = performance.now() - from;
        server.close();
        socket.end();
        done(JSON.parse(text));
      });
      socket.on("error", fail);
    });
    server.listen(socketPath);
  });
  const ended = start(node, { ...job, mode: "pool", socket: socketPath }, cwd).then(({ status, err }) => {
    if (status !== 0) throw new Error(err || `exit status ${status}`);
  });
  const [{ cpu, resident }] = await Promise.all([answer, ended]);
  return { wall, cpu, resident };
}

async function main() {
  const text = { type: "string" };
  let options = {};
  try {
    ({ values: options } = parseArgs({ options: { cache: text, out: text, runs: { ...text, default: "9" }, only: { ...text, default: "" } } }));
  } catch (error) {
    console.error(`measure_prior: ${error.message}`);
  }
  const runs = Number(options.runs);
  if (!options.cache || !options.out || !Number.isInteger(runs) || runs < 1) {
    console.error("usage: measure_prior.mjs --cache DIR --out FILE [--runs N] [--only SUBSTRING]");
    return 2;
  }
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  const page = execFileSync("getconf", ["PAGESIZE"], { encoding: "utf8" }).trim();
  if (process.platform !== "linux" || process.arch !== "x64" || !glibc || page !== "4096") {
    console.error("measure_prior: the table is for linux x86_64 with glibc and pages of 4096 bytes");
    return 2;
  }
  const cache = resolve(options.cache);
  mkdirSync(cache, { recursive: true });
  const functions = FUNCTIONS.filter((f) => f.id.includes(options.only));
  const nodes = interpreters(cache);
  const place = install(cache, functions, (text) => console.error(text));
  const { esbuild: version } = JSON.parse(readFileSync(join(cache, "fleet", "node-etl", "package.json"), "utf8")).devDependencies;
  const esbuild = createRequire(join(tool(cache, `esbuild@${version}`, "esbuild"), "x.js"))("esbuild");

  const folders = new Map(); // package folder → {id, name, disk}
  for (const root of new Set(functions.map((f) => f.root))) for (const [dir, p] of packagesUnder(realpathSync(place(root)))) folders.set(dir, p);

  const platform = (major) => `node${major}-linux-x86_64-glibc`;
  const table = new Map(); // `${platform} ${id}` → samples
  const slot = (major, dir, how) => {
    const p = folders.get(dir);
    if (!p) throw new Error(`${dir} was loaded but is no installed package`);
    const key = `${p.id} ${platform(major)}`;
    if (!table.has(key)) table.set(key, { id: p.id, platform: platform(major), how, disk: p.disk, cpu: new Map(), rss: new Map(), modules: new Set() });
    return table.get(key);
  };
  const collect = (major, how, group, kind, answer, factor) => {
    for (const [dir, value] of Object.entries(answer.charges)) {
      if (dir === "") continue;
      const entry = slot(major, dir, how);
      if (entry.how !== how) continue;
      if (!entry[kind].has(group)) entry[kind].set(group, []);
      entry[kind].get(group).push(value * factor);
      for (const spec of answer.seen[dir] ?? []) entry.modules.add(spec);
    }
  };

  // ---- closures, as the functions import them
  const plans = [];
  for (const f of functions) {
    const root = realpathSync(place(f.root));
    const handler = join(root, f.handler.split(":")[0]);
    const base = join(root, f.built ?? f.handler.split(":")[0]);
    const resolvable = createRequire(base);
    const specs = (await importsOf(esbuild, root, f.built ?? f.handler.split(":")[0])).filter(({ spec }) => {
      try {
        return resolvable.resolve(spec);
      } catch {
        console.error(`note: ${f.id} imports ${spec}, which is not installed for it`);
        return false;
      }
    });
    const required = specs.map(({ spec }) => ({ spec, how: "require" }));
    const node = nodes.get(f.node);
    const esm = !f.built && isModule(handler, root);
    let [whole, traced] = [required, required];
    if (esm && specs.length > 0) {
      const entry = (name, of) => {
        const file = join(dirname(handler), `.warmset-${name}.mjs`);
        writeFileSync(file, of.map(({ spec, dynamic }) => (dynamic ? `await import(${JSON.stringify(spec)});\n` : `import ${JSON.stringify(spec)};\n`)).join(""));
        return file;
      };
      whole = [{ spec: entry("entry", specs), how: "import" }];
      const hooks = execFileSync(node.binary, ["-p", "typeof require('module').registerHooks"], { encoding: "utf8" }).trim();
      // Without hooks one import at a time, so that what it takes can be charged to what it imports.
      traced = hooks === "function" ? whole : specs.map((s, i) => ({ spec: entry(`entry-${i}`, [s]), how: "import", of: s.spec }));
    }
    plans.push({ f, root, node, base, handler: { file: handler, how: esm ? "import" : "require" }, whole, traced, got: { cpu: [], rss: [], whole: [] } });
  }
  // Rounds, not blocks: a busy minute of the host then touches every closure a little. The first round only fills caches.
  for (let round = -1; round < runs; round++) {
    for (const { f, root, node, base, whole, traced, got } of plans) {
      if (traced.length === 0) continue;
      for (const mode of ["cpu", "rss", "whole"]) {
        const answer = await measured(node, { mode, base, load: mode === "whole" ? whole : traced }, root);
        if (round >= 0) got[mode].push(answer);
      }
    }
    console.error(`round ${round + 1} of ${runs}`);
  }
  for (const { f, got } of plans) {
    if (got.whole.length === 0) continue;
    const total = { cpu: median(got.whole.map((a) => a.whole.cpu)), rss: median(got.whole.map((a) => a.whole.rss)) };
    for (const kind of ["cpu", "rss"]) {
      const factor = total[kind] / median(got[kind].map((a) => sum(Object.values(a.charges))));
      for (const answer of got[kind]) collect(f.node, "imports", f.id, kind, answer, factor);
      got[`${kind}Factor`] = factor;
    }
    got.total = total;
  }

  // ---- the rest of the closures, each package by its name
  const notes = [];
  const rest = [];
  for (const f of functions) {
    for (const dir of folders.keys()) {
      if (dir.startsWith(`${realpathSync(place(f.root))}/`)) rest.push({ major: f.node, dir, root: f.root });
    }
  }
  const weight = ({ dir }) => Object.keys(JSON.parse(readFileSync(join(dir, "package.json"), "utf8")).dependencies ?? {}).length;
  rest.sort((a, b) => weight(b) - weight(a) || (a.dir < b.dir ? -1 : 1));
  for (const { major, dir } of rest) {
    const { id, name } = folders.get(dir);
    if (table.has(`${id} ${platform(major)}`)) continue;
    const node = nodes.get(major);
    const above = dir.slice(0, -`/node_modules/${name}`.length);
    const manifest = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
    const paths = manifest.exports && typeof manifest.exports === "object" ? Object.keys(manifest.exports) : [];
    const ways = [[name], paths.filter((p) => p.startsWith("./") && !/\*|\.json$|\.d\.ts$/.test(p)).map((p) => name + p.slice(1))];
    let failure = "nothing to load";
    for (const specs of ways) {
      if (specs.length === 0) continue;
      const load = specs.map((spec) => ({ spec, how: "require" }));
      try {
        for (let round = 0; round < runs; round++) {
          const job = { base: join(above, "x.js"), load };
          const cpu = await measured(node, { ...job, mode: "cpu" }, above);
          const rss = await measured(node, { ...job, mode: "rss" }, above);
          if (!(dir in cpu.charges)) throw new Error("no file of it was loaded");
          collect(major, "direct", id, "cpu", cpu, 1);
          collect(major, "direct", id, "rss", rss, 1);
        }
        failure = null;
        break;
      } catch (error) {
        failure = error.message;
      }
    }
    if (failure !== null) {
      slot(major, dir, "disk");
      notes.push(`${id} on node${major}: ${failure.split(cache).join("").slice(0, 160)}`);
      console.error(`disk only: ${notes.at(-1)}`);
    }
  }

  // ---- handing over
  const socketPath = join(cache, "swap.sock");
  const bare = new Map();
  for (const [major, node] of nodes) {
    const got = [];
    for (let round = 0; round < runs; round++) got.push((await swapOnce(node, { base: CHILD, load: [] }, cache, socketPath)).resident);
    bare.set(major, typical(got));
  }
  const swaps = [];
  for (const { f, root, node, base, handler, whole } of plans) {
    const got = [];
    for (let round = 0; round < runs; round++) got.push(await swapOnce(node, { base, load: whole, handler }, root, socketPath));
    swaps.push({
      function: f.id,
      node: f.node,
      resident_mb: round(median(got.map((g) => g.resident)) - bare.get(f.node)),
      cpu_ms: typical(got.map((g) => g.cpu)),
      wall_ms: typical(got.map((g) => g.wall)),
    });
  }
  rmSync(socketPath, { force: true });

  // ---- the table
  const raw = [...table.values()].map((e) => ({ ...e, cpu: [...e.cpu], rss: [...e.rss], modules: [...e.modules] }));
  writeFileSync(join(cache, "samples.json"), JSON.stringify(raw));
  const pooled = (groups) => [...groups.values()].flat();
  // Median over the runs of a closure against noise; mean over closures, so that sums keep what is paid by whoever
  // comes first (a heap that grows, code that gets compiled).
  const cost = (groups) => (groups.length > 0 ? Math.max(0, sum(groups.map(median)) / groups.length) : 0);
  const entries = [...table.values()]
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.platform < b.platform ? -1 : 1))
    .map((e) => {
      const cpu = pooled(e.cpu);
      return {
        package: e.id,
        platform: e.platform,
        load_ms: round(cost([...e.cpu.values()])),
        resident_mb: round(cost([...e.rss.values()])),
        disk_mb: round(e.disk),
        source: "prior",
        how: e.how,
        samples: cpu.length,
        spread: cpu.length > 0 ? round(spread(cpu)) : 0,
        modules: [...e.modules].sort(),
      };
    });

  const closures = plans
    .filter(({ got }) => got.total)
    .map(({ f, got }) => {
      const ids = [...new Set(got.cpu.flatMap((a) => Object.keys(a.charges)).filter((d) => d !== "").map((d) => folders.get(d).id))];
      const predict = (kind, use) => sum(ids.map((id) => cost(use(table.get(`${id} ${platform(f.node)}`)[kind]))));
      const all = (groups) => [...groups.values()];
      // Without what was measured in this very closure, where another one has the package too.
      const elsewhere = (groups) => {
        const other = [...groups].filter(([group]) => group !== f.id).map(([, xs]) => xs);
        return other.length > 0 ? other : [...groups.values()];
      };
      return {
        function: f.id,
        platform: platform(f.node),
        packages: ids.length,
        whole_ms: round(got.total.cpu),
        predicted_ms: round(predict("cpu", all)),
        held_out_ms: round(predict("cpu", elsewhere)),
        whole_mb: round(got.total.rss),
        predicted_mb: round(predict("rss", all)),
        held_out_mb: round(predict("rss", elsewhere)),
        tracer_ms: round(1 / got.cpuFactor),
        tracer_mb: round(1 / got.rssFactor),
      };
    });
  const error = (field, whole) => round(sum(closures.map((c) => Math.abs(c[field] - c[whole]) / c[whole])) / closures.length);

  const known = entries.filter((e) => e.how === "imports" && e.load_ms > 0 && e.disk_mb > 0);
  const perDisk = (field) => {
    const rate = median(known.map((e) => e[field] / e.disk_mb));
    const wrong = known.filter((e) => e[field] > 0).map((e) => Math.max((e.disk_mb * rate) / e[field], e[field] / (e.disk_mb * rate)));
    return {
      rate: round(rate),
      quality: {
        packages: known.length,
        median_factor: round(median(wrong)),
        p90_factor: round(quantile(wrong, 0.9)),
        total_ratio: round((sum(known.map((e) => e.disk_mb)) * rate) / sum(known.map((e) => e[field]))),
        spearman: round(spearman(known.map((e) => e.disk_mb), known.map((e) => e[field]))),
      },
    };
  };
  const [load, resident] = [perDisk("load_ms"), perDisk("resident_mb")];
  const handOver = line(swaps.map((s) => [s.resident_mb, s.cpu_ms]));
  const names = [...nodes.values()].map((n) => n.version).sort().join(" and ");

  const document = {
    schema: "warmset.costs/1",
    generator: "scripts/measure_prior.mjs",
    command: `node scripts/measure_prior.mjs --cache DIR --out src/cost/prior-node.json --runs ${runs}`,
    host: `Node ${names}, linux x86_64, ${cpus().length} cores (shared host)`,
    languages: {
      node: {
        image_overhead_mb: bare.get(20) ?? [...bare.values()][0],
        swap_base_ms: round(handOver.base),
        swap_ms_per_mb: round(handOver.slope),
        load_ms_per_disk_mb: load.rate,
        resident_mb_per_disk_mb: resident.rate,
      },
    },
    fit: {
      error_ms: error("predicted_ms", "whole_ms"),
      error_held_out_ms: error("held_out_ms", "whole_ms"),
      error_mb: error("predicted_mb", "whole_mb"),
      error_held_out_mb: error("held_out_mb", "whole_mb"),
      closures,
      swap: swaps,
      image_overhead_mb: Object.fromEntries([...bare].map(([major, mb]) => [`node${major}`, mb])),
      load_per_disk: load.quality,
      resident_per_disk: resident.quality,
      notes: notes.sort(),
    },
    entries,
  };
  writeFileSync(resolve(options.out), `${JSON.stringify(document, null, 1)}\n`);
  console.log(`${entries.length} entries (${["imports", "direct", "disk"].map((how) => `${entries.filter((e) => e.how === how).length} ${how}`).join(", ")})`);
  console.log(JSON.stringify(document.languages.node));
  for (const c of closures) {
    console.log(`${c.function} ${c.whole_ms} ms, predicted ${c.predicted_ms}, held out ${c.held_out_ms}; ${c.whole_mb} MB, predicted ${c.predicted_mb}, held out ${c.held_out_mb}`);
  }
  console.log(`mean error: CPU ${document.fit.error_ms}, held out ${document.fit.error_held_out_ms}; resident ${document.fit.error_mb}, held out ${document.fit.error_held_out_mb}`);
  return 0;
}

process.exitCode = await main();
