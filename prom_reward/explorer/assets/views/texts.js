// Long texts as elements: thoughts and tool calls folded, differences marked, hidden characters set apart.

import { make } from "./dom.js";
import { difference } from "../data/difference.js";
import { meta } from "../meta.js";

const HIDDEN = new RegExp(`(${meta.hidden})`, "gu");
const CALL = /^(\[calls [^\n]*\]|<tool_call>[\s\S]*?<\/tool_call>)$/m;

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

const codePoint = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

// A text in which the code points of characters that hide or reorder others stand out.
export const plain = (text) => text.split(HIDDEN).map((part, at) => (at % 2 ? make("span", { class: "hidden-character", text: codePoint(part) }) : part));

// The same as a string, cut.
export const preview = (text, size) => text.slice(0, size).replace(HIDDEN, codePoint);

export const fold = (summary, text) => make("details", { class: "folded" }, make("summary", { text: summary }), make("div", {}, ...plain(text)));

// Returns [thoughts, answer] of a text that begins with an opening mark.
const splitThoughts = (text) => {
  for (const [opening, closing] of meta.marks) {
    const found = new RegExp(`^\\s*${escaped(opening)}([\\s\\S]*?)(?:${escaped(closing)}|$)`, "i").exec(text);
    if (found) return [found[1].trim(), text.slice(found[0].length)];
  }
  return ["", text];
};

const answer = (text) => text.split(CALL).flatMap((part, at) => (at % 2 ? [fold("tool call", part)] : plain(part)));

// Below this share of common words, marks would be noise.
const MIN_COMMON = 0.55;

// A response. `base` is the text to mark differences from; `note` tells what was marked.
export const response = (text, base = null) => {
  if (!text) return { content: [make("i", { class: "soft", text: "(empty response)" })], note: "" };
  const [thoughts, rest] = splitThoughts(text);
  const before = thoughts ? [fold("thoughts", thoughts)] : [];
  if (base === null) return { content: [...before, ...answer(rest)], note: "" };
  const { parts, share } = difference(splitThoughts(base)[1], rest);
  const told = `${Math.round(share * 100)} % in common`;
  if (share < MIN_COMMON) return { content: [...before, ...answer(rest)], note: `${told}: too different to mark` };
  const marked = parts.flatMap(([part, isNew]) => (isNew ? [make("mark", {}, ...plain(part))] : plain(part)));
  return { content: [...before, ...marked], note: told };
};
