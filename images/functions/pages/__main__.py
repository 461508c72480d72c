"""Pages by Flask: a form, and what was written into it.

    pip3 install -r requirements.txt --target virtualenv/lib/python3/site-packages
    hk deploy . --name pages --memory 128
    curl $NODE/function/pages/ && curl -d name=you $NODE/function/pages/greeting

On another computer than the node's kind (Linux on x86-64 with CPython 3.11) say so to pip: --platform
manylinux2014_x86_64 --python-version 3.11 --only-binary=:all:
"""

import os

from flask import Flask, render_template_string, request

app = Flask("pages")

FORM = '<form method="post" action="{{ at }}/greeting"><input name="name"><button>Greet</button></form>'


@app.get("/")
def form():
    # Where the node has this server, for links that lead back to it.
    return render_template_string(FORM, at=request.headers.get("X-Forwarded-Prefix", ""))


@app.post("/greeting")
def greeting():
    return render_template_string("<p>Hello, {{ name }}!</p>", name=request.form["name"])


app.run(port=int(os.environ["PORT"]))
