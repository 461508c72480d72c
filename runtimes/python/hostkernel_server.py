"""What a web server in Python does anew in each process.

A server is frozen while it waits for a connection, and each request goes on from there in a process
of its own, with another number. Most of what Python made by then may be alike in all of them; this is
what may not:

- the module `random`, which would give the same numbers in each request;
- the loop of asyncio, which up to Python 3.11 remembers in which process it runs, and is not found
  in another one.

The runtime `python:3` imports this by itself. An archive with an interpreter of its own takes this file
along, and its program imports it first.
"""

import os
import socket
import sys

_actions = []
_preparations = []
_accept = socket.socket.accept
_listen = socket.socket.listen


def at_connection(action):
    """Has a function called in each process when its connection comes."""
    _actions.append(action)


def at_listening(action):
    """Has a function called before a server listens, which is once for all processes."""
    _preparations.append(action)


def _listen_last(listener, *arguments):
    """`socket.listen`, behind all that a server does for itself."""
    for action in _preparations:
        action()
    return _listen(listener, *arguments)


def _accept_first(listener):
    """`socket.accept`, which comes before all that is about a request, whatever server it is."""
    connection = _accept(listener)
    for action in _actions:
        action()
    return connection


def seed():
    """Seeds the module `random`, if somebody has imported it."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed(int.from_bytes(os.urandom(16), "little"))


def find_loop():
    """Tells asyncio that the loop further down this stack runs, in this process, too."""
    base = sys.modules.get("asyncio.base_events")
    if base is None:
        return
    code = base.BaseEventLoop.run_forever.__code__
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    if frame is not None:
        base.events._set_running_loop(frame.f_locals["self"])


at_connection(seed)
at_connection(find_loop)
socket.socket.accept = _accept_first
socket.socket.listen = _listen_last
