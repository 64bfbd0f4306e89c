#!/usr/bin/env node
// Runs every Node function of fixtures/fleet with the event beside it, in a fresh process each, with the
// dependencies that its lock or manifest asks for.
//
//   node scripts/run_fixtures.mjs --cache DIR [--only SUBSTRING]
//
// One line a function; exit status 1 if any failed, 2 if the arguments are wrong.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { FUNCTIONS, install, interpreters, unlisted } from "./node_fleet.mjs";

const TIMEOUT_MS = 60_000;
const MARK = "\u0001answer ";

async function child(file, name, eventFile) {
  const event = JSON.parse(readFileSync(eventFile, "utf8"));
  const module = await import(pathToFileURL(file).href);
  const handler = module[name] ?? module.default?.[name];
  if (typeof handler !== "function") throw new Error(`${name} is not exported`);
  const answer = await handler(event, { functionName: name, getRemainingTimeInMillis: () => TIMEOUT_MS });
  if (answer === undefined) throw new Error("the handler returned nothing");
  process.stdout.write(`${MARK}${JSON.stringify(answer)}\n`);
}

function judge(f, { status, stdout, stderr, error }) {
  if (error) return error.message;
  if (status !== 0) return stderr.trim().split("\n").find((l) => /Error/.test(l)) ?? `exit status ${status}`;
  const line = stdout.split("\n").find((l) => l.startsWith(MARK));
  if (!line) return "no answer";
  const answer = JSON.parse(line.slice(MARK.length));
  for (const [key, wanted] of Object.entries(f.expect)) {
    if (!isDeepStrictEqual(answer[key], wanted)) return `${key} is ${JSON.stringify(answer[key])}, not ${JSON.stringify(wanted)}`;
  }
  return { answer: line.slice(MARK.length) };
}

function main() {
  let options;
  try {
    ({ values: options } = parseArgs({ options: { cache: { type: "string" }, only: { type: "string", default: "" } } }));
    if (!options.cache) throw new Error("--cache DIR is missing");
  } catch (error) {
    console.error(`run_fixtures: ${error.message}`);
    return 2;
  }
  const missing = unlisted();
  if (missing.length > 0) {
    console.error(`run_fixtures: events without a function in scripts/node_fleet.mjs: ${missing.join(", ")}`);
    return 2;
  }
  const cache = resolve(options.cache);
  mkdirSync(cache, { recursive: true });
  const functions = FUNCTIONS.filter((f) => f.id.includes(options.only));
  const nodes = interpreters(cache);
  const place = install(cache, functions, (text) => console.error(text));

  let failed = 0;
  for (const f of functions) {
    const [file, name] = f.handler.split(":");
    const root = place(f.root);
    const node = nodes.get(f.node);
    const from = performance.now();
    const outcome = judge(
      f,
      spawnSync(node.binary, [fileURLToPath(import.meta.url), "--child", join(root, file), name, join(root, f.event)], {
        cwd: root,
        encoding: "utf8",
        timeout: TIMEOUT_MS,
      }),
    );
    const ms = Math.round(performance.now() - from);
    const good = typeof outcome === "object";
    if (!good) failed += 1;
    const text = good ? outcome.answer : outcome;
    console.log(`${good ? "ok  " : "FAIL"} ${f.id} (node ${node.version}, ${ms} ms) ${text.length > 110 ? `${text.slice(0, 109)}…` : text}`);
  }
  console.log(`${functions.length - failed} of ${functions.length} functions ran`);
  return failed > 0 ? 1 : 0;
}

if (process.argv[2] === "--child") {
  await child(...process.argv.slice(3));
  // Clients keep sockets and timers open; a runtime would freeze the process here.
  process.exit(0);
}
process.exitCode = main();
