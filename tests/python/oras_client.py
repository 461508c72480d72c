"""Pushes a file to a node with oras, and reads with it what a node has put into a registry.

Arguments: the node, the key of its namespace, the file, the registry, what is in it, a folder.
"""

import sys

from oras.client import OrasClient

node, key, file, registry, stored, folder = sys.argv[1:]

client = OrasClient(hostname=node, insecure=True, auth_backend="basic")
client.auth.set_basic_auth(*key.split(":", 1))
memory = {"hostkernel.memory": "7"}
pushed = client.push(
    target=f"{node}/guest/by-oras:latest",
    files=[file],
    disable_path_validation=True,
    manifest_annotations=memory,
)
print("pushed", pushed.status_code)

reader = OrasClient(hostname=registry, insecure=True)
manifest = reader.get_manifest(f"{registry}/{stored}")
print("type", manifest["artifactType"])
blob = reader.get_blob(f"{registry}/{stored}", manifest["layers"][0]["digest"])
with open(f"{folder}/read", "wb") as out:
    out.write(blob.content)
