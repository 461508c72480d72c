import sys, json, re, collections, itertools, math, zlib, string, textwrap, dataclasses, enum, functools, time, threading, io, os, tempfile
print(sys.version_info[:2], len(sys.builtin_module_names))
text = sys.stdin.read()
print(collections.Counter(re.findall(r'\w+', text)).most_common(2))
@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
print(Point(1), json.loads('{"a": [1, 2.5, null]}'), json.dumps({'b': [True, 'é']}))
notes = []
threads = [threading.Thread(target=notes.append, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(notes), math.factorial(30), 0.1 + 0.2, zlib.crc32(zlib.compress(b'x' * 1000)))
with open('/tmp/python-note', 'w') as file:
    file.write('kept\n' * 3)
print(open('/tmp/python-note').read().split(), os.path.getsize('/tmp/python-note'))
os.remove('/tmp/python-note')
def squares():
    for n in range(5):
        yield n * n
print(list(squares()), functools.reduce(lambda a, b: a * b, range(1, 10)))
try:
    [][1]
except IndexError as error:
    print(type(error).__name__, error)
print(textwrap.fill(text, 12), sys.argv[1:])
