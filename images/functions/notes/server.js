// An interface by Express: checks a note and gives it back with what a store would want to know.
//
//     npm install --ignore-scripts
//     hk deploy . --name notes --memory 128
//     curl -H 'Content-Type: application/json' -d '{"text":"to do"}' $NODE/function/notes/notes

const { createHash } = require("crypto");
const express = require("express");

const app = express();
app.use(express.json());

app.get("/", (request, answer) => answer.send("POST /notes\n"));

app.post("/notes", (request, answer) => {
  const { text } = request.body ?? {};
  if (typeof text !== "string" || text.trim() === "") {
    return answer.status(422).json({ error: "a note has a text" });
  }
  const id = createHash("sha256").update(text).digest("hex").slice(0, 12);
  answer.status(201).location(`${request.get("X-Forwarded-Prefix") ?? ""}/notes/${id}`);
  answer.json({ id, text, words: text.split(/\s+/).length });
});

app.listen(process.env.PORT);
