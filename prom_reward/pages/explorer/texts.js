// Long texts as elements: thoughts and tool calls folded, differences marked, hidden characters set apart.

import { make } from "./dom.js";
import { difference } from "./difference.js";

const CODE_POINT = /(\\u\{[0-9a-f]+\})/;
const CALL = /^(\[calls [^\n]*\]|<tool_call>[\s\S]*?<\/tool_call>)$/m;

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// A text in which the written code point of a hidden character stands out.
const plain = (text) => text.split(CODE_POINT).map((part, at) => (at % 2 ? make("span", { class: "hidden-character", text: part }) : part));

const folded = (summary, text) => make("details", { class: "folded" }, make("summary", { text: summary }), make("div", {}, ...plain(text)));

// Returns [thoughts, answer] of a text that begins with an opening mark.
const splitThoughts = (text, marks) => {
  for (const [opening, closing] of marks) {
    const found = new RegExp(`^\\s*${escaped(opening)}([\\s\\S]*?)(?:${escaped(closing)}|$)`, "i").exec(text);
    if (found) return [found[1].trim(), text.slice(found[0].length)];
  }
  return ["", text];
};

const answer = (text) => text.split(CALL).flatMap((part, at) => (at % 2 ? [folded("tool call", part)] : plain(part)));

// Below this share of common words, marks would be noise.
const MIN_COMMON = 0.55;

// A response. `base` is the text to mark differences from; `note` tells what was marked.
export const response = (text, marks, base = null) => {
  if (!text) return { content: [make("i", { class: "soft", text: "(empty response)" })], note: "" };
  const [thoughts, rest] = splitThoughts(text, marks);
  const before = thoughts ? [folded("thoughts", thoughts)] : [];
  if (base === null) return { content: [...before, ...answer(rest)], note: "" };
  const { parts, share } = difference(splitThoughts(base, marks)[1], rest);
  const told = `${Math.round(share * 100)} % in common`;
  if (share < MIN_COMMON) return { content: [...before, ...answer(rest)], note: `${told}: too different to mark` };
  const marked = parts.flatMap(([part, isNew]) => (isNew ? [make("mark", {}, ...plain(part))] : plain(part)));
  return { content: [...before, ...marked], note: told };
};

export const prompt = (text) => plain(text);
