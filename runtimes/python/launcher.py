"""Starts a Python function and calls it once: the program of the runtime `python:3`.

It looks at standard input twice, and each time the node freezes the process there, to go on from
that moment as often as it likes:

    start, import what every call needs
    read   ── the runtime is frozen ──▶ one line of JSON: how the function is called
    load the function: its modules run
    read   ── the function is frozen ─▶ the arguments of one call
    call it, write the result to descriptor 3, end

A file that listens when it is loaded is a server, and is frozen where it waits for a connection instead.

So what stands between the second read and the end is what a call costs. What a clean process has
to do only sometimes is done when it is needed: the environment is read when somebody looks.
"""

import gc
import json
import os
import sys
import traceback

import hostkernel_server

# A module of the user's may call itself whatever it likes.
_read, _write, _exit = os.read, os.write, os._exit
_loads = json.loads
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

ACTION = "/action"
SOURCE = ACTION + "/source"
# Below this a result's text and its bytes are made in one piece each anyway.
CHUNK = 1 << 16
INPUT, LOG, RESULT = 0, 2, 3
NOT_A_RESULT = "The action did not return a dictionary or array."
# What only the node and this file have to say to each other.
OURS = "HOSTKERNEL_"


class Refusal(Exception):
    """What is wrong with a function, in a sentence for the one who deploys it."""


class _Stale(type(os.environ)):
    """An environment that was another process'; this one's is read when somebody looks."""

    @property
    def _data(self):
        refresh_environment()
        return self._data


def refresh_environment():
    """The environment of this process over what the function set when it was loaded."""
    for environment in (os.environ, os.environb):
        environment.__class__ = os._Environ
    with open("/proc/self/environ", "rb", buffering=0) as file:
        own = file.readall()
    data = os.environ._data
    data.update(entry.split(b"=", 1) for entry in own.split(b"\0") if b"=" in entry)


def forget_environment():
    """The environment is that of the process before: nobody may see it any more."""
    for environment in (os.environ, os.environb):
        environment.__class__ = _Stale


def hide(prefix):
    """Takes variables out of the environment that mean nothing to a function."""
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]


def write_all(descriptor, data):
    """Writes all of it, whatever a pipe takes at a time."""
    while data:
        data = data[_write(descriptor, data):]


def read_all():
    """Standard input up to its end, which is where a read gives less than was asked for: it is a
    file, of which all is there."""
    data = _read(INPUT, CHUNK)
    if len(data) < CHUNK:
        return data
    pieces = [data]
    while more := _read(INPUT, CHUNK):
        pieces.append(more)
    return b"".join(pieces)


def read_line():
    """One line of standard input. Nobody sends what is behind it before it was read."""
    line = b""
    while not line.endswith(b"\n"):
        more = _read(INPUT, CHUNK)
        if not more:
            break
        line += more
    return line


def virtualenv(folder):
    """The packages that an archive brings, if it has a folder `virtualenv`."""
    library = os.path.join(folder, "virtualenv", "lib")
    versions = sorted(os.listdir(library)) if os.path.isdir(library) else []
    packages = [os.path.join(library, version, "site-packages") for version in versions]
    return [package for package in packages if os.path.isdir(package)]


def execute(path):
    """Runs a file as the module that a function is in."""
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    module = type(sys)("main__")
    module.__file__ = path
    sys.modules["main__"] = module
    exec(code, module.__dict__)
    return module


def load(init):
    """The function, ready to be called."""
    environment = init.get("env") or {}
    os.environ.update((name, str(value)) for name, value in environment.items())
    os.chdir(ACTION)
    is_archive = init.get("binary", not os.path.isfile(SOURCE))
    sys.path[:0] = [*virtualenv(ACTION), ACTION] if is_archive else [ACTION]
    path = os.path.join(ACTION, "__main__.py") if is_archive else SOURCE
    if not os.path.isfile(path):
        raise Refusal("The zip archive has no file __main__.py.")
    name = init.get("main") or "main"
    found = execute(path)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise Refusal(f"The code has no function '{name}'.")
    return found


def report(exception, skipped):
    """Writes a traceback to the log, without the frames of this file, of which there are so many."""
    trace = exception.__traceback__
    while trace is not None and skipped > 0:
        trace, skipped = trace.tb_next, skipped - 1
    lines = traceback.format_exception(type(exception), exception, trace)
    flush()
    write_all(LOG, "".join(lines).encode("utf-8", "backslashreplace"))


def flush():
    """Hands on what was printed. A stream that the function closed has nothing more to say."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def fail(text):
    """Ends the process, and says whose fault it is."""
    flush()
    write_all(RESULT, encoded({"error": text}))
    _exit(1)


def prepare():
    """From one line of standard input to a function."""
    line = read_line()
    refresh_environment()
    hide(OURS)
    try:
        main = load(_loads(line)["value"])
    except Refusal as refusal:
        fail(str(refusal))
    except SystemExit as end:
        fail(f"The code called sys.exit({'' if end.code is None else end.code}) while it was loaded.")
    except BaseException as exception:
        report(exception, 3)
        fail(f"{type(exception).__name__}: {exception}")
    flush()
    return main


def settle():
    """Leaves as little as possible that what comes next would have to touch, copy or tidy up. What
    was looked at once is not looked at again."""
    gc.collect()
    gc.freeze()


def encoded(result):
    """The bytes of a result. What is no text of UTF-8 was no text to begin with."""
    return _encode(result).encode("utf-8", "backslashreplace")


def failed(exception):
    """What comes of a call that ended by an exception."""
    if isinstance(exception, SystemExit):
        code = "" if exception.code is None else exception.code
        fail(f"The action called sys.exit({code}).")
    report(exception, 1)
    if not isinstance(exception, Exception):
        fail(f"The action was ended by {type(exception).__name__}.")
    return {"error": f"{type(exception).__name__}: {exception}"}


def call(main):
    """Reads the arguments, calls the function, writes the result, and ends."""
    data = read_all()
    hostkernel_server.seed()
    try:
        result = main(_loads(data) if data else {})
    except BaseException as exception:
        result = failed(exception)
    if not isinstance(result, (dict, list, tuple)):
        fail(NOT_A_RESULT)
    try:
        data = encoded(result)
    except Exception as exception:
        fail(f"The action did not return what can be JSON: {exception}")
    flush()
    write_all(RESULT, data)
    _exit(0)


def run():
    """The whole life of a process."""
    sys.argv = [""]
    # As lines, so that they are in the log in the order in which they were printed.
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    hide(OURS)
    # Collecting writes to every object it looks at: to those of the interpreter here, once for
    # all functions, and behind this only to the function's own.
    settle()
    hostkernel_server.at_connection(forget_environment)
    main = prepare()
    forget_environment()
    settle()
    call(main)


run()
