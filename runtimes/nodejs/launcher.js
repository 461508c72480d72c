#!/usr/bin/node --jitless
// Starts a JavaScript function on Node.js and calls it once: the program of the runtime `nodejs`.
//
// It looks at standard input twice, and each time the node freezes the process there, to go on from
// that moment as often as it likes: first for one line of JSON that says how the function is called,
// then for the arguments of one call. What stands behind the second look is what a call costs, so
// everything that Node makes when it is first needed is needed once before.
"use strict";

const crypto = require("crypto");
const diagnostics = require("diagnostics_channel");
const fs = require("fs");
const Module = require("module");
const net = require("net");
const path = require("path");
const util = require("util");
const v8 = require("v8");
const vm = require("vm");

const ACTION = "/action";
const SOURCE = `${ACTION}/source`;
const [INPUT, LOG, RESULT] = [0, 2, 3];
/** Who asks when a server is warmed up, and how often. */
const WARMING_AGENT = "hostkernel";
const WARMING_REQUESTS = 16;
// What only the node and this file have to say to each other.
const OURS = "HOSTKERNEL_";

/** Ends the process without tidying up. */
const exit = (() => {
  const addon = { exports: {} };
  process.dlopen(addon, "/runtime/quick.node");
  return addon.exports;
})();

// What is compiled when a function is deployed need not be in each call, and stays; and a process of
// one call is over before its garbage is worth a look, however long ago it was frozen.
for (const flag of ["--no-lazy", "--no-flush-bytecode", "--no-incremental-marking"]) {
  v8.setFlagsFromString(flag);
}

/** What is wrong with a function, in a sentence for the one who deploys it. */
class Refusal extends Error {}

const chunk = Buffer.allocUnsafeSlow(1 << 16);
const more = Buffer.allocUnsafeSlow(1 << 16);

/** Standard input up to its end, or one line of it. */
function read(isLine) {
  const len = fs.readSync(INPUT, chunk);
  const isWhole = isLine && chunk[len - 1] === 10;
  let next = isWhole ? 0 : fs.readSync(INPUT, more);
  if (next === 0) return chunk.toString("utf8", 0, len);
  // As bytes, for a character may lie across two pieces.
  const pieces = [chunk.subarray(0, len)];
  for (; next > 0; next = fs.readSync(INPUT, more)) pieces.push(Buffer.from(more.subarray(0, next)));
  return Buffer.concat(pieces).toString();
}

function write(descriptor, text) {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) bytes = bytes.subarray(fs.writeSync(descriptor, bytes));
}

function fail(text) {
  write(RESULT, JSON.stringify({ error: text }));
  exit(1);
}

function described(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : util.inspect(error);
}

function log(error) {
  write(LOG, `${error instanceof Error ? error.stack : util.inspect(error)}\n`);
}

// --- the environment: read when somebody looks, as it is another one in each call -----------------

const own = {};
let environment;

function readEnvironment() {
  const result = { ...own };
  for (const entry of fs.readFileSync("/proc/self/environ", "utf8").split("\0")) {
    const at = entry.indexOf("=");
    if (at > 0 && !entry.startsWith(OURS)) result[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return result;
}

Object.defineProperty(process, "env", {
  get: () => (environment ??= readEnvironment()),
  set: (value) => void (environment = value),
});

// The number that Node remembers is another process'.
Object.defineProperty(process, "pid", {
  get: () => Number.parseInt(fs.readFileSync("/proc/self/stat", "utf8"), 10),
});

// --- Math.random: seeded when somebody asks, as the engine's own goes on alike in each call ---------

let lot;

/** Numbers by the generator sfc32, of which nobody expects more than speed. */
function seeded() {
  let [a, b, c, count] = new Uint32Array(crypto.randomBytes(16).buffer.slice(0, 16));
  const next = () => {
    const result = (a + b + count++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  return () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}

Math.random = () => (lot ??= seeded())();

// --- the function ---------------------------------------------------------------------------------

/** Runs source text as a module. `name` is looked for where its own names are. */
function compile(name) {
  const module = new Module(SOURCE, null);
  module.filename = SOURCE;
  module.paths = Module._nodeModulePaths(ACTION);
  const found = `return (() => { try { return ${name}; } catch {} })();`;
  const result = module._compile(`${fs.readFileSync(SOURCE, "utf8")}\n${found}`, SOURCE);
  return { exports: module.exports, found: result };
}

/**
 * The file with the function in an archive; or else the one that `npm start` would run, and that it
 * is the main module.
 */
function entry() {
  const description = `${ACTION}/package.json`;
  const isPackage = fs.existsSync(description);
  const { main: name, scripts } = isPackage ? JSON.parse(fs.readFileSync(description, "utf8")) : {};
  const [, started] = /^node\s+(?:--\S+\s+)*([^-\s]\S*)$/.exec(scripts?.start?.trim()) ?? [];
  const candidates = [[name ?? "index.js", false], [started ?? "server.js", true]];
  for (const [candidate, isMain] of candidates) {
    try {
      return [require.resolve(path.resolve(ACTION, candidate)), isMain];
    } catch {
      // The next one.
    }
  }
  throw new Refusal(isPackage
      ? `The zip archive has no file ${name ?? "index.js"}, which package.json names.`
      : "The zip archive has neither package.json nor index.js nor server.js.");
}

function loadEntry() {
  const [file, isMain] = entry();
  return Module._load(file, null, isMain);
}

/** The function; nothing if there is none, which is right for a server. */
function load(init, name) {
  Object.assign(own, init.env);
  const isName = /^[\p{ID_Start}$_][\p{ID_Continue}$]*(\.[\p{ID_Start}$_][\p{ID_Continue}$]*)*$/u;
  if (!isName.test(name)) throw new Refusal(`'${name}' is no name of a function.`);
  process.chdir(ACTION);
  const isArchive = init.binary ?? !fs.existsSync(SOURCE);
  const loaded = isArchive ? { exports: loadEntry() } : compile(name);
  const exported = name.split(".").reduce((value, part) => value?.[part], loaded.exports);
  const result = typeof exported === "function" ? exported : loaded.found;
  if (typeof result === "function") return result;
  // Servers export what they listen with, which may be callable: an application of Express is.
  const listens = process.getActiveResourcesInfo().includes("TCPServerWrap");
  const isMain = name === "main" && typeof loaded.exports === "function" && !listens;
  return isMain ? loaded.exports : undefined;
}

/**
 * Lets a server wait for its connection, at which it is frozen. Who waits for nothing is none.
 * A process has one connection, so what it had from before is another process' then.
 */
function serve(name) {
  setImmediate(settle);
  let warmed = 0;
  diagnostics.subscribe("http.server.response.finish", ({ request }) => {
    if (request.headers["user-agent"] !== WARMING_AGENT) return;
    warmed++;
    // Collecting all garbage also forgets the shapes of objects that are gone, which the second half
    // makes anew.
    if (warmed === WARMING_REQUESTS / 2) setImmediate(settle);
    if (warmed === WARMING_REQUESTS) setImmediate(settle, { type: "minor" });
  });
  process.on("beforeExit", () => fail(`The code has no function '${name}'.`));
  const { emit } = net.Server.prototype;
  net.Server.prototype.emit = function (event, ...values) {
    if (event === "connection") [environment, lot] = [undefined, undefined];
    return emit.call(this, event, ...values);
  };
}

/** The text of what a call returned; throws if it is no result. */
function encoded(value) {
  if (value === undefined || value === null) return "{}";
  if (typeof value !== "object") {
    throw new Refusal("The action did not return a dictionary or array.");
  }
  return JSON.stringify(value);
}

function finish(value) {
  let text;
  try {
    text = encoded(value);
  } catch (error) {
    const what = error instanceof Refusal ? error.message
      : `The action did not return what can be JSON: ${error.message}`;
    return fail(what);
  }
  write(RESULT, text);
  exit(0);
}

function failed(error) {
  log(error ?? "rejected without a reason");
  if (error instanceof Error) return finish({ error: described(error) });
  finish({ error: error ?? "The action was rejected without a reason." });
}

function call(main, text) {
  let result;
  try {
    result = main(text ? JSON.parse(text) : {});
  } catch (error) {
    return failed(error);
  }
  if (typeof result?.then !== "function") return finish(result);
  Promise.resolve(result).then(finish, failed);
}

/** Does once what would be made in each call otherwise. */
function warmUp() {
  process.stdout.write("");
  process.stderr.write("");
  const nowhere = fs.openSync("/dev/null", "w");
  const greet = (args) => ({ greeting: `Hello, ${args.name}!` });
  for (let round = 0; round < 10; round++) {
    write(nowhere, encoded(greet(JSON.parse('{"name":"you","list":[1,2.5,null,true]}'))));
    Buffer.from(chunk.subarray(0, 1)).toString();
  }
  fs.closeSync(nowhere);
}

/** Leaves as little garbage as possible that a call would have to collect. */
function settle(options) {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")(options);
}

function start() {
  // Numbers that nobody has drawn yet must not be the same in each call.
  const { randomUUID } = crypto;
  crypto.randomUUID = () => randomUUID({ disableEntropyCache: true });
  globalThis.crypto.randomUUID = crypto.randomUUID;
  process.argv = ["node"];
  process.exit = (status = 0) => fail(`The action called process.exit(${status}).`);
  warmUp();
  const line = read(true);
  let main, name;
  try {
    const init = JSON.parse(line).value;
    name = init.main || "main";
    main = load(init, name);
  } catch (error) {
    if (error instanceof Refusal) return fail(error.message);
    log(error);
    return fail(described(error));
  }
  if (main === undefined) return serve(name);
  [environment, lot] = [undefined, undefined];
  process.on("uncaughtException", failed);
  process.on("beforeExit", () => {
    fail("The action returned a promise that nothing can settle any more.");
  });
  // What loading has begun goes on until it waits for something, before anybody calls.
  setImmediate(() => {
    settle();
    call(main, read(false));
  });
}

start();
