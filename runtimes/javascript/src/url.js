// URL and URLSearchParams, as the standard of WHATWG has them, for hosts of ASCII.

(function () {
  "use strict";

  const PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21" };
  const isSpecial = (scheme) => scheme in PORTS || scheme === "file:";

  /** Percent-encodes controls, what is not ASCII, and the characters of a set. */
  function escape(text, set) {
    let result = "";
    for (const character of text.toWellFormed?.() ?? text) {
      const code = character.codePointAt(0);
      const isPlain = code > 0x20 && code < 0x7f && !set.includes(character);
      result += isPlain ? character : encodeURIComponent(character)
        .replace(/^[^%]$/, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
    }
    return result;
  }
  const PATH = '"#<>?`{}';
  const USER = `${PATH}/:;=@[\\]^|`;

  class URLSearchParams {
    #pairs = [];
    #changed;

    constructor(init = "", changed = () => {}) {
      this.#changed = changed;
      if (typeof init === "string") {
        const plain = (text) => {
          const spaced = text.replace(/\+/g, " ");
          try {
            return decodeURIComponent(spaced);
          } catch {
            return spaced;
          }
        };
        for (const pair of init.replace(/^\?/, "").split("&").filter(Boolean)) {
          const at = pair.indexOf("=");
          const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
          this.#pairs.push([plain(name), plain(value)]);
        }
      } else {
        const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
        for (const [name, value] of pairs) this.#pairs.push([String(name), String(value)]);
      }
    }

    #change(pairs) {
      this.#pairs = pairs;
      this.#changed(this.toString());
    }
    append(name, value) { this.#change([...this.#pairs, [String(name), String(value)]]); }
    delete(name) { this.#change(this.#pairs.filter(([it]) => it !== String(name))); }
    get(name) { return this.#pairs.find(([it]) => it === String(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([it]) => it === String(name)).map((pair) => pair[1]); }
    has(name) { return this.get(name) !== null; }
    set(name, value) {
      const at = this.#pairs.findIndex(([it]) => it === String(name));
      const others = this.#pairs.filter(([it], place) => it !== String(name) || place === at);
      if (at < 0) others.push([String(name), String(value)]);
      this.#change(others.map((it) => it[0] === String(name) ? [it[0], String(value)] : it));
    }
    sort() { this.#change([...this.#pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))); }
    forEach(action, self) { for (const [name, value] of this) action.call(self, value, name, this); }
    get size() { return this.#pairs.length; }
    entries() { return this.#pairs.map((pair) => [...pair])[Symbol.iterator](); }
    keys() { return this.#pairs.map(([name]) => name)[Symbol.iterator](); }
    values() { return this.#pairs.map(([, value]) => value)[Symbol.iterator](); }
    [Symbol.iterator]() { return this.entries(); }
    toString() {
      const coded = (text) => escape(text, "!\"#$%&'()+,/:;<=>?@[\\]^`{|}~").replace(/%20/g, "+");
      return this.#pairs.map(([name, value]) => `${coded(name)}=${coded(value)}`).join("&");
    }
  }

  /** Takes `.` and `..` out of a path. */
  function normal(path) {
    const parts = [];
    const pieces = path.split("/").slice(1);
    pieces.forEach((piece, at) => {
      const plain = piece.replace(/%2e/gi, ".");
      const isLast = at === pieces.length - 1;
      if (plain === "..") parts.pop();
      else if (plain !== ".") return parts.push(piece);
      if (isLast) parts.push("");
    });
    return `/${parts.join("/")}`;
  }

  class URL {
    #parts;
    #query;

    constructor(text, base) {
      const invalid = () => new TypeError(`Invalid URL: ${text}`);
      const outer = base === undefined ? undefined : new URL(base).#parts;
      const input = String(text).trim().replace(/[\t\n\r]/g, "");
      const [, scheme, rest] = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(.*)$/s.exec(input);
      const protocol = scheme === undefined ? outer?.protocol : `${scheme.toLowerCase()}:`;
      if (protocol === undefined) throw invalid();
      let [, body, search, hash] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(rest);
      if (isSpecial(protocol)) body = body.replace(/\\/g, "/");
      const parts = { protocol, user: "", password: "", host: "", port: "", path: "" };
      const authority = /^\/\/([^/]*)(.*)$/s.exec(body);
      const isRelative = scheme === undefined || (outer?.protocol === protocol && isSpecial(protocol));
      if (authority || (isSpecial(protocol) && !(isRelative && outer))) {
        const [, address, path] = authority ?? /^\/*([^/]*)(.*)$/s.exec(body);
        const [, user, password, host, port] =
          /^(?:([^:]*?)(?::(.*))?@)?(\[[0-9a-fA-F:.]+\]|[^:@]*)(?::(\d*))?$/s.exec(address) ?? [];
        if (host === undefined || Number(port ?? 0) > 65535) throw invalid();
        if (host === "" && isSpecial(protocol) && protocol !== "file:") throw invalid();
        if (/[\0-\x20"#%<>\\^`{|}]|[^\0-\x7f]/.test(host)) throw invalid();
        parts.user = escape(user ?? "", USER);
        parts.password = escape(password ?? "", USER);
        parts.host = isSpecial(protocol) ? host.toLowerCase() : host;
        parts.port = port && String(Number(port)) !== PORTS[protocol] ? String(Number(port)) : "";
        parts.path = path || (isSpecial(protocol) ? "/" : "");
        parts.hasAuthority = true;
      } else if (isRelative && outer) {
        Object.assign(parts, outer, { hash: undefined });
        if (body === "") search ??= outer.search || undefined;
        else if (body.startsWith("/")) parts.path = body;
        else parts.path = outer.path.slice(0, outer.path.lastIndexOf("/") + 1) + body;
      } else if (scheme === undefined) {
        throw invalid();
      } else {
        parts.path = body;
      }
      parts.path = escape(parts.path, PATH);
      if (parts.path.startsWith("/")) parts.path = normal(parts.path);
      parts.search = search && search !== "?" ? escape(search, "\"#<>'") : "";
      parts.hash = hash && hash !== "#" ? escape(hash, '"<>`') : "";
      this.#parts = parts;
      this.#query = this.#params();
    }

    #params() {
      return new URLSearchParams(this.#parts.search, (text) => {
        this.#parts.search = text && `?${text}`;
      });
    }
    /** The same with one part replaced, if that makes a URL. */
    #with(text) {
      try {
        this.#parts = new URL(text).#parts;
      } catch {
        // As the standard has it: nothing changes.
      }
      this.#query = this.#params();
    }

    static canParse(text, base) {
      try {
        return Boolean(new URL(text, base));
      } catch {
        return false;
      }
    }

    get protocol() { return this.#parts.protocol; }
    get username() { return this.#parts.user; }
    get password() { return this.#parts.password; }
    get hostname() { return this.#parts.host; }
    get port() { return this.#parts.port; }
    get host() { return this.port ? `${this.hostname}:${this.port}` : this.hostname; }
    get origin() { return this.protocol in PORTS ? `${this.protocol}//${this.host}` : "null"; }
    get pathname() { return this.#parts.path; }
    get search() { return this.#parts.search; }
    get hash() { return this.#parts.hash; }
    get searchParams() { return this.#query; }
    get href() { return this.toString(); }
    set href(text) {
      this.#parts = new URL(text).#parts;
      this.#query = this.#params();
    }
    set pathname(path) {
      const text = escape(String(path), PATH);
      this.#parts.path = normal(text.startsWith("/") ? text : `/${text}`);
    }
    set search(text) {
      const query = String(text).replace(/^\?/, "");
      this.#parts.search = query && `?${escape(query, "\"#<>'")}`;
      this.#query = this.#params();
    }
    set hash(text) {
      const hash = String(text).replace(/^#/, "");
      this.#parts.hash = hash && `#${escape(hash, '"<>`')}`;
    }
    set hostname(host) { this.#with(this.toString(host, this.port)); }
    set port(port) { this.#with(this.toString(this.hostname, String(port))); }
    set host(host) { this.#with(this.toString(String(host), "")); }
    set protocol(scheme) {
      this.#with(this.toString().replace(/^[^:]*:/, `${String(scheme).replace(/:$/, "")}:`));
    }

    toString(host = this.hostname, port = this.port) {
      const { protocol, user, password, hasAuthority, path, search, hash } = this.#parts;
      const who = user || password ? `${user}${password && `:${password}`}@` : "";
      const authority = hasAuthority ? `//${who}${host}${port && `:${port}`}` : "";
      return `${protocol}${authority}${path}${search}${hash}`;
    }
    toJSON() { return this.toString(); }
  }

  globalThis.URL = URL;
  globalThis.URLSearchParams = URLSearchParams;
})
