// Starts a JavaScript function and calls it once: the program of the runtime `javascript`.
//
// It looks at standard input twice, and each time the node freezes the process there, to go on from
// that moment as often as it likes: first for one line of JSON that says how the function is called,
// then for the arguments of one call. What stands behind the second look is what a call costs.

(function (native) {
  "use strict";

  const ACTION = "/action";
  const SOURCE = ACTION + "/source";
  // What only the node and this file have to say to each other.
  const OURS = "HOSTKERNEL_";
  const { parse, stringify } = JSON;
  const { getPrototypeOf, keys } = Object;
  let main;
  let settled = false;

  // --- what a script finds -----------------------------------------------------------------------

  /** A value as people read it, for the log. */
  function inspect(value, depth = 0, above = []) {
    if (typeof value === "string") return depth === 0 ? value : stringify(value);
    if (typeof value === "function") return `[Function: ${value.name || "(anonymous)"}]`;
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value !== "object" || value === null) return String(value);
    if (value instanceof Error) return described(value);
    if (above.includes(value)) return "[Circular]";
    if (depth > 4) return Array.isArray(value) ? "[Array]" : "[Object]";
    const inner = (item) => inspect(item, depth + 1, [...above, value]);
    if (Array.isArray(value)) return value.length ? `[ ${value.map(inner).join(", ")} ]` : "[]";
    if (value instanceof Date) return value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Map) return `Map(${value.size}) ${inner([...value])}`;
    if (value instanceof Set) return `Set(${value.size}) ${inner([...value])}`;
    const name = getPrototypeOf(value)?.constructor?.name;
    const prefix = name && name !== "Object" ? `${name} ` : "";
    const members = keys(value).map((key) => `${key}: ${inner(value[key])}`);
    return members.length ? `${prefix}{ ${members.join(", ")} }` : `${prefix}{}`;
  }

  /** An exception as it stands in the log. */
  function described(error) {
    if (!(error instanceof Error)) return inspect(error, 1);
    const [what, where] = [`${error.name}: ${error.message}`, error.stack ?? ""];
    return (where.startsWith(what) ? where : `${what}\n${where}`).trimEnd();
  }

  const printer = (write) => (...values) => write(`${values.map((it) => inspect(it)).join(" ")}\n`);
  const [out, log] = [printer(native.out), printer(native.log)];
  globalThis.console = {
    log: out, info: out, debug: out, dir: out, error: log, warn: log, trace: log,
    assert: (good, ...values) => good || log("Assertion failed:", ...values),
  };

  const timers = new Map();
  let lastTimer = 0;
  function later(action, ms, args, isRepeated) {
    const pause = Math.max(1, Number(ms) || 0);
    timers.set(++lastTimer, { action, args, at: native.now() + pause, pause, isRepeated });
    return lastTimer;
  }
  globalThis.setTimeout = (action, ms, ...args) => later(action, ms, args, false);
  globalThis.setInterval = (action, ms, ...args) => later(action, ms, args, true);
  globalThis.setImmediate = (action, ...args) => later(action, 0, args, false);
  globalThis.clearTimeout = (timer) => void timers.delete(timer);
  globalThis.clearInterval = globalThis.clearImmediate = globalThis.clearTimeout;
  globalThis.queueMicrotask = (action) => void Promise.resolve().then(action);
  globalThis.global = globalThis;
  globalThis.performance = { now: native.now, timeOrigin: 0 };
  globalThis.structuredClone = (value) => parse(stringify(value));

  globalThis.TextEncoder = class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return native.encode(String(text)); }
  };
  globalThis.TextDecoder = class TextDecoder {
    constructor(label = "utf-8") {
      if (!/^(utf-?8|unicode-1-1-utf-8)$/i.test(label)) {
        throw new RangeError(`The encoding ${label} is not supported: only utf-8 is.`);
      }
    }
    get encoding() { return "utf-8"; }
    decode(data) {
      if (data === undefined) return "";
      const view = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
      return native.decode(Array.from(view)).replace(/^\ufeff/, "");
    }
  };

  const hex = (byte) => byte.toString(16).padStart(2, "0");
  globalThis.crypto = {
    getRandomValues(array) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      bytes.set(native.random(bytes.length));
      return array;
    },
    randomUUID() {
      const bytes = native.random(16);
      bytes[6] = (bytes[6] & 15) | 64;
      bytes[8] = (bytes[8] & 63) | 128;
      const text = bytes.map(hex).join("");
      return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  globalThis.btoa = (text) => {
    let result = "";
    const code = (at) => {
      const unit = text.charCodeAt(at);
      if (unit > 255) throw new RangeError("The text has a character above U+00FF.");
      return unit || 0;
    };
    text = String(text);
    for (let at = 0; at < text.length; at += 3) {
      const bits = (code(at) << 16) | (code(at + 1) << 8) | code(at + 2);
      const left = text.length - at;
      for (let piece = 0; piece < 4; piece++) {
        result += piece <= left ? ALPHABET[(bits >> (18 - 6 * piece)) & 63] : "=";
      }
    }
    return result;
  };
  globalThis.atob = (text) => {
    text = String(text).replace(/[\t\n\f\r ]/g, "");
    if (text.length % 4 === 0) text = text.replace(/==?$/, "");
    if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) {
      throw new RangeError("The text is not base64.");
    }
    let [result, bits, count] = ["", 0, 0];
    for (const letter of text) {
      bits = (bits << 6) | ALPHABET.indexOf(letter);
      count += 6;
      if (count >= 8) {
        count -= 8;
        result += String.fromCharCode((bits >> count) & 255);
      }
    }
    return result;
  };

  // --- Math.random: seeded when somebody asks, as the engine's goes on alike in each call ----------

  let lot;

  /** Numbers by the generator sfc32, of which nobody expects more than speed. */
  function seeded() {
    let [a, b, c, count] = new Uint32Array(new Uint8Array(native.random(16)).buffer);
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

  // --- the environment: read when somebody looks, as it is another one in each call ---------------

  let environment;
  function readEnvironment() {
    const entries = (native.environment() ?? "").split("\0").filter((entry) => entry.includes("="));
    const pairs = entries.map((entry) => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
    return Object.fromEntries(pairs.filter(([name]) => !name.startsWith(OURS)));
  }
  const own = {};
  globalThis.process = {
    get env() { return (environment ??= Object.assign({}, own, readEnvironment())); },
    argv: [], platform: "linux", arch: "x64", version: "", versions: {},
    cwd: () => ACTION,
    exit: (status = 0) => fail(`The action called process.exit(${status}).`),
    nextTick: (action, ...args) => void Promise.resolve().then(() => action(...args)),
    stdout: { write: (text) => (native.out(String(text)), true) },
    stderr: { write: (text) => (native.log(String(text)), true) },
  };

  // --- modules -----------------------------------------------------------------------------------

  const modules = new Map();

  function directory(path) {
    return path.slice(0, Math.max(1, path.lastIndexOf("/")));
  }

  function join(folder, path) {
    const parts = [];
    for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return `/${parts.join("/")}`;
  }

  /** The file that is meant by a path without extension, or by a folder. */
  function fileOf(path) {
    for (const file of [path, `${path}.js`, `${path}.json`, `${path}.cjs`]) {
      if (native.isFile(file)) return file;
    }
    const described = native.readFile(`${path}/package.json`);
    if (described !== undefined) {
      const entry = parse(described).main;
      const found = typeof entry === "string" ? fileOf(join(path, entry)) : undefined;
      if (found) return found;
    }
    return ["index.js", "index.json", "index.cjs"].map((name) => `${path}/${name}`)
      .find(native.isFile);
  }

  function resolve(name, folder) {
    if (/^(\.\.?)?\//.test(name) || name === "." || name === "..") {
      return fileOf(join(folder, name));
    }
    for (let place = folder; ; place = directory(place)) {
      const found = fileOf(`${place}/node_modules/${name}`);
      if (found || place === "/") return found;
    }
  }

  function requireFrom(folder) {
    return function require(name) {
      const file = resolve(String(name), folder);
      if (file === undefined) {
        const hint = /^(node:)?[a-z_]+$/.test(name)
          ? " (what is part of Node.js is not part of the kind javascript)" : "";
        throw new Error(`Cannot find module '${name}'${hint}`);
      }
      return modules.get(file)?.exports ?? load(file, "").module.exports;
    };
  }

  /** Runs a file as a module. `name` is looked for where its own names are. */
  function load(file, name) {
    const module = { exports: {}, id: file, filename: file, loaded: false };
    const source = native.readFile(file) ?? "";
    if (file.endsWith(".json")) {
      module.exports = parse(source);
      modules.set(file, module);
      return { module };
    }
    const found = name ? `(() => { try { return ${name}; } catch {} })();` : "undefined;";
    // In front of the first line, so that lines keep their numbers.
    const head = "(function (exports, require, module, __filename, __dirname) {";
    const run = native.evaluate(
      `${head}${source.replace(/^#!/, "//")}\nreturn ${found}})`, file);
    modules.set(file, module);
    const folder = directory(file);
    const result = run.call(
      module.exports, module.exports, requireFrom(folder), module, file, folder);
    module.loaded = true;
    return { module, found: result };
  }

  /** The file with the function. */
  function entryFile(isArchive) {
    if (!(isArchive ?? !native.isFile(SOURCE))) return SOURCE;
    const described = native.readFile(`${ACTION}/package.json`);
    const entry = described === undefined ? undefined : parse(described).main;
    const file = fileOf(join(ACTION, typeof entry === "string" ? entry : "index.js"));
    if (file !== undefined) return file;
    throw new Refusal(described === undefined
      ? "The zip archive has neither package.json nor index.js."
      : `The zip archive has no file ${entry ?? "index.js"}, which package.json names.`);
  }

  // --- the function ------------------------------------------------------------------------------

  /** What is wrong with a function, in a sentence for the one who deploys it. */
  class Refusal extends Error {}

  function fail(text) {
    native.result(stringify({ error: text }));
    native.exit(1);
  }

  function find(init) {
    const name = init.main || "main";
    Object.assign(own, init.env);
    const isName = /^[\p{ID_Start}$_][\p{ID_Continue}$]*(\.[\p{ID_Start}$_][\p{ID_Continue}$]*)*$/u;
    if (!isName.test(name)) throw new Refusal(`'${name}' is no name of a function.`);
    const { module, found } = load(entryFile(init.binary), name);
    const exported = name.split(".").reduce((value, part) => value?.[part], module.exports);
    const result = typeof exported === "function" ? exported : found;
    if (typeof result === "function") return result;
    if (name === "main" && typeof module.exports === "function") return module.exports;
    throw new Refusal(`The code has no function '${name}'.`);
  }

  /** From one line of standard input to a function. */
  function prepare() {
    const line = native.line();
    try {
      main = find(parse(line).value);
    } catch (error) {
      if (error instanceof Refusal) return fail(error.message);
      native.log(`${described(error)}\n`);
      fail(error instanceof Error ? `${error.name}: ${error.message}` : inspect(error, 1));
    }
    [environment, lot] = [undefined, undefined];
  }

  /** Writes what a call returned, and ends. */
  function finish(value) {
    settled = true;
    if (value === undefined || value === null) value = {};
    if (typeof value !== "object") {
      return fail("The action did not return a dictionary or array.");
    }
    let text;
    try {
      text = stringify(value);
    } catch (error) {
      return fail(`The action did not return what can be JSON: ${error.message}`);
    }
    native.exit(native.result(text) ? 0 : 1);
  }

  /** What comes of a call that was rejected, or threw. */
  function failed(error) {
    native.log(`${described(error)}\n`);
    if (error instanceof Error) return finish({ error: `${error.name}: ${error.message}` });
    finish({ error: error ?? "The action was rejected without a reason." });
  }

  /** Calls the function with what is on standard input. */
  function call() {
    const text = native.input();
    let result;
    try {
      result = main(text ? parse(text) : {});
    } catch (error) {
      return failed(error);
    }
    if (typeof result?.then === "function") {
      Promise.resolve(result).then(finish, failed);
    } else {
      finish(result);
    }
  }

  /** Waits for the next timer and runs it. Returns false if there is none. */
  function timer() {
    if (timers.size === 0 || settled) return false;
    const [number, next] = [...timers].reduce((one, other) => other[1].at < one[1].at ? other : one);
    const pause = next.at - native.now();
    if (pause > 0) native.sleep(pause);
    if (next.isRepeated) next.at += next.pause;
    else timers.delete(number);
    try {
      next.action(...next.args);
    } catch (error) {
      failed(error);
    }
    return true;
  }

  function abandon() {
    fail("The action returned a promise that nothing can settle any more.");
  }

  return { prepare, call, timer, abandon };
})
