// Counts words: {"text": "to be or not to be"} gives how many there are, and the most frequent.
// It needs nothing of Node, so a node with the small runtime `javascript` will do.
//
//     hk deploy words.js
//     hk invoke words '{"text":"to be or not to be","most":2}'

function main({ text, most = 3 }) {
  const counts = new Map();
  const words = text.toLowerCase().match(/\p{Letter}+/gu) ?? [];
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return { words: words.length, frequent: sorted.slice(0, most) };
}
