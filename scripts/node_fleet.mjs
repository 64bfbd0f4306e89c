// The Node half of fixtures/fleet for the scripts beside this file: which functions there are, how their
// dependencies are installed, and which Node runs them. Nothing is ever written into fixtures/.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const FLEET = join(dirname(fileURLToPath(import.meta.url)), "..", "fixtures", "fleet");

// root: the folder that is installed; how: the tool and what it goes by.
const fn = (id, root, node, how, handler, event, expect, built) => ({ id, root, node, how, handler, event, expect, built });

/** `expect` is a part of the handler's answer that only a working handler gives. */
export const FUNCTIONS = [
  fn("checkout/cart", "checkout", 20, "npm-lock", "functions/cart/handler.js:main", "functions/cart/event.json", { statusCode: 200 }),
  fn("checkout/orders", "checkout", 20, "npm-lock", "functions/orders/handler.js:main", "functions/orders/event.json", { statusCode: 202 }),
  fn("checkout/paymentWebhook", "checkout", 20, "npm-lock", "functions/payments/webhook.js:handler", "functions/payments/webhook.event.json", { statusCode: 200 }),
  fn("checkout/productFeed", "checkout", 22, "npm-lock", "functions/feed/handler.mjs:main", "functions/feed/event.json", { items: 2 }),
  fn("checkout/receipts", "checkout", 20, "npm-lock", "functions/receipts/handler.js:main", "functions/receipts/event.json", { batchItemFailures: [] }),
  fn("checkout/storefront", "checkout", 20, "npm-lock", "functions/storefront/index.js:handler", "functions/storefront/event.json", { statusCode: 200 }),
  fn("media-node/palette", "media-node", 20, "npm-lock", "palette/index.js:handler", "palette/event.json", { width: 60, height: 40 }),
  fn("media-node/thumbnail", "media-node", 20, "npm-lock", "thumbnail/index.js:handler", "thumbnail/event.json", { source: "holiday/beach.png" }),
  fn("node-audit", "node-audit", 20, "npm", "handler.js:handler", "event.json", { seen: 3 }),
  fn("node-etl", "node-etl", 22, "npm-lock", "dist/handler.js:handler", "src/event.json", { rows: 2, batches: 1 }, "src/handler.ts"),
  fn("node-invoice", "node-invoice", 20, "npm", "index.js:handler", "event.json", { total: 963.9, pages: 1, head: "JVBERi0x" }),
  fn("node-jobs/cleanup", "node-jobs", 22, "pnpm-lock", "cleanup/index.cjs:handler", "cleanup/event.json", { expired: ["exports/2025-01-02.csv"] }),
  fn("node-jobs/digest", "node-jobs", 22, "pnpm-lock", "digest/index.js:handler", "digest/event.json", { entries: 2 }),
  fn("node-queue-worker", "node-queue-worker", 20, "pnpm-lock", "index.js:handler", "event.json", { tracing: true }),
  fn("node-session", "node-session", 20, "npm-lock", "index.js:handler", "event.json", { valid: true, hits: 2 }),
  fn("node-webhook", "node-webhook", 22, "none", "index.js:handler", "event.json", { statusCode: 200 }),
  fn("web-catalog", "web-catalog", 20, "npm-lock", "handler.js:handler", "event.json", { statusCode: 200 }),
  fn("web-links", "web-links", 20, "npm", "index.js:handler", "event.json", { title: "Blog" }),
  fn("web-profile", "web-profile", 20, "npm-lock", "src/index.js:handler", "src/event.json", { statusCode: 200 }),
  fn("web-quotes", "web-quotes", 20, "npm", "handler.js:main", "event.json", { rows: 2, prepared: true }),
  fn("web-rates", "web-rates", 22, "npm", "index.mjs:handler", "event.json", { amount: 225.81, currency: "CHF" }),
  fn("web-search", "web-search", 22, "pnpm-lock", "index.js:handler", "event.json", { statusCode: 200 }),
  fn("web-status", "web-status", 20, "npm", "index.js:handler", "event.json", { statusCode: 200 }),
  fn("web-upload", "web-upload", 20, "npm-lock", "index.js:handler", "event.json", { statusCode: 201 }),
];

/** What the table above must cover, read from the folders: a function that is added and not listed is an error. */
export function unlisted() {
  const listed = new Set(FUNCTIONS.map((f) => join(f.root, f.event)));
  const found = [];
  const walk = (dir) => {
    for (const name of readdirSync(dir).sort()) {
      const path = join(dir, name);
      if (name === "node_modules") continue;
      if (statSync(path).isDirectory()) walk(path);
      else if (/(^|\.)event\.json$/.test(name)) found.push(relative(FLEET, path));
    }
  };
  for (const root of new Set(FUNCTIONS.map((f) => f.root))) walk(join(FLEET, root));
  return found.filter((event) => !listed.has(event));
}

function run(command, args, cwd, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", env: { ...process.env, ...env } });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} in ${cwd}:\n${stderr || stdout}`);
}

/** Installs packages of the tooling itself (never a function's) into `cache/tools`. */
export function tool(cache, spec, folder) {
  const prefix = join(cache, "tools", folder);
  if (!existsSync(join(prefix, "node_modules"))) {
    mkdirSync(prefix, { recursive: true });
    writeFileSync(join(prefix, "package.json"), "{}\n");
    run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", spec], prefix);
  }
  return join(prefix, "node_modules");
}

const versionOf = (binary) => execFileSync(binary, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();

/** The binaries for Node 20 and 22: the one at hand where it fits, else from the npm package of Node's builds. */
export function interpreters(cache) {
  const here = Number(process.versions.node.split(".")[0]);
  const found = new Map();
  for (const major of new Set(FUNCTIONS.map((f) => f.node))) {
    if (major === here) {
      found.set(major, { binary: process.execPath, version: process.versions.node, fits: true });
      continue;
    }
    try {
      const name = `node-${process.platform}-${process.arch}`;
      const binary = join(tool(cache, `${name}@${major}`, `node${major}`), name, "bin", "node");
      found.set(major, { binary, version: versionOf(binary), fits: true });
    } catch (error) {
      console.error(`note: no Node ${major} here, Node ${process.versions.node} stands in: ${String(error.message).split("\n")[0]}`);
      found.set(major, { binary: process.execPath, version: process.versions.node, fits: false });
    }
  }
  return found;
}

const INSTALL = {
  "npm-lock": ["npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]],
  "pnpm-lock": ["pnpm", ["install", "--frozen-lockfile", "--prod", "--ignore-scripts"]],
  npm: ["npm", ["install", "--omit=dev", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]],
  none: null,
};

/** Copies the functions into `cache/fleet`, installs and builds them there; returns the path of a root in the cache. */
export function install(cache, functions, say = () => {}) {
  const place = (root) => join(cache, "fleet", root);
  for (const root of new Set(functions.map((f) => f.root))) {
    const of = functions.filter((f) => f.root === root);
    const target = place(root);
    const inputs = readdirSync(join(FLEET, root), { recursive: true })
      .filter((f) => /(^|\/)(package\.json|package-lock\.json|pnpm-.*\.yaml)$/.test(f) && !f.includes("node_modules"))
      .sort();
    const hash = createHash("sha256");
    for (const file of inputs) hash.update(file).update(readFileSync(join(FLEET, root, file)));
    const stamp = hash.digest("hex");
    const stampFile = join(cache, "stamps", root);
    if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
      rmSync(target, { recursive: true, force: true });
      cpSync(join(FLEET, root), target, { recursive: true });
      if (INSTALL[of[0].how]) {
        const [command, args] = INSTALL[of[0].how];
        say(`${root}: ${command} ${args[0]}`);
        run(command, args, target);
      }
      mkdirSync(dirname(stampFile), { recursive: true });
      writeFileSync(stampFile, stamp);
    } else {
      cpSync(join(FLEET, root), target, { recursive: true });
    }
    if (of.some((f) => f.built)) {
      // The function's own build script; only the compiler comes from here, as production has no devDependencies.
      const { esbuild } = JSON.parse(readFileSync(join(target, "package.json"), "utf8")).devDependencies;
      const bin = join(tool(cache, `esbuild@${esbuild}`, "esbuild"), ".bin");
      run("npm", ["run", "--silent", "build"], target, { PATH: `${bin}:${process.env.PATH}` });
    }
  }
  return place;
}
