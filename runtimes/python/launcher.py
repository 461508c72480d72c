#!/runtime/cpython -IBXutf8
"""Starts a Python function and calls it once: the program of the runtime `python:3`.

It looks at standard input twice, and each time the node freezes the process there, to go on from
that moment as often as it likes:

    start, import what every call needs, rehearse a function and a call
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
ENTRY = ACTION + "/__main__.py"
# A function to rehearse with, and how often: the interpreter adapts code that runs eight times, and
# caches what it finds then.
REHEARSAL = "def main(args):\n    return {'greeting': 'Hello, ' + args['name'] + '!'}\n"
REHEARSAL_LINE = '{"value":{"name":"greet","main":"main","binary":false,"env":{}}}'
REHEARSAL_ARGUMENTS = b'{"name":"you"}'
REHEARSALS = 16
# Bytes of objects of each size that fill the holes between others.
HOLES_LEN = 128 << 10
# Below this a result's text and its bytes are made in one piece each anyway.
CHUNK = 1 << 16
INPUT, LOG, RESULT = 0, 2, 3
NOT_A_RESULT = "The action did not return a dictionary or array."
# What only the node and this file have to say to each other.
OURS = b"HOSTKERNEL_"


class Refusal(Exception):
    """What is wrong with a function, in a sentence for the one who deploys it."""


class _Stale(type(os.environ)):
    """An environment that was another process'; this one's is read when somebody looks."""

    @property
    def _data(self):
        refresh_environment()
        return self._data


def refresh_environment():
    """The environment of this process over what the function set when it was loaded, without what
    means nothing to it."""
    for environment in (os.environ, os.environb):
        environment.__class__ = os._Environ
    with open("/proc/self/environ", "rb", buffering=0) as file:
        own = file.readall()
    data = os.environ._data
    for entry in own.split(b"\0"):
        name, is_entry, value = entry.partition(b"=")
        if is_entry and not name.startswith(OURS):
            data[name] = value


def forget_environment():
    """The environment is that of the process before: nobody may see it any more."""
    for environment in (os.environ, os.environb):
        environment.__class__ = _Stale


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
        return run_module(file.read(), path)


def run_module(source, path):
    """Runs source text as the module that a function is in."""
    code = compile(source, path, "exec", dont_inherit=True)
    module = type(sys)("main__")
    module.__file__ = path
    sys.modules["main__"] = module
    exec(code, module.__dict__)
    return module


def load(init):
    """The function, ready to be called."""
    for name, value in init.get("env", {}).items():
        os.environ[name] = str(value)
    path = SOURCE
    if init["binary"] if "binary" in init else not os.path.isfile(SOURCE):
        sys.path[:0] = virtualenv(ACTION)
        path = ENTRY
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
    try:
        main = load(_loads(line)["value"])
    except Refusal as refusal:
        fail(str(refusal))
    except SystemExit as end:
        fail(f"The code called sys.exit({'' if end.code is None else end.code}) while it was loaded.")
    except BaseException as exception:
        report(exception, 4)
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


def fill_holes():
    """Objects of every size that the interpreter has pools for. They take the room that others have
    left when they were freed. So what a function or a call makes lies close together, in a few pages
    of its own, and not one here and one there in pages that it would have to copy."""
    filler = [object() for _ in range(HOLES_LEN // 16)]
    filler += [(1 << 30) + at for at in range(HOLES_LEN // 32)]
    for size in range(48, 513, 16):
        # A string of bytes has 33 besides, and pools are 16 apart.
        filler += [bytes(size - 40) for _ in range(HOLES_LEN // size)]
    return filler


def rehearse():
    """Does once what each function and each call would else be the first to do: the compiler makes
    its types, code is adapted, caches are filled. Nothing of it is left but that."""
    for _ in range(REHEARSALS):
        # The environment is read when somebody looks.
        os.environ.get("PORT")
        with open(os.devnull, "rb") as file:
            file.read()
        _loads(REHEARSAL_LINE)
        main = run_module(REHEARSAL, SOURCE).main
        hostkernel_server.seed()
        encoded(main(_loads(REHEARSAL_ARGUMENTS)))
        flush()
        forget_environment()
        del sys.modules["main__"]


def run():
    """The whole life of a process."""
    sys.argv = [""]
    # As lines, so that they are in the log in the order in which they were printed.
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    sys.path.insert(0, ACTION)
    os.chdir(ACTION)
    for name in [name for name in os.environb if name.startswith(OURS)]:
        del os.environb[name]
    forget_environment()
    filler = fill_holes()
    rehearse()
    # Collecting writes to every object it looks at: to those of the interpreter here, once for
    # all functions, and behind this only to the function's own.
    settle()
    hostkernel_server.at_connection(forget_environment)
    hostkernel_server.at_listening(settle)
    main = prepare()
    forget_environment()
    settle()
    call(main)


run()
