// Full text search over all texts: letters of either case are the same.

// "İ" alone becomes longer in lower case, which would move the places of all that follows.
export const folded = (text) => text.replaceAll("İ", "i").toLowerCase();

const COMMON = "etaoinshrdlcumwfgypbvkjxqz"; // English letters, the most frequent first

// The place of a word's rarest character: a browser's indexOf stops at each one that equals the first it looks for, so
// a search from "w" on finds "answer" up to three times as fast as one from "a" on.
const rarest = (needle) => {
  const ranks = [...Array(needle.length).keys()].map((at) => (COMMON.includes(needle[at]) ? COMMON.indexOf(needle[at]) : COMMON.length));
  return ranks.indexOf(Math.max(...ranks));
};

export class Search {
  constructor(texts) {
    this.texts = texts;
    this.haystacks = new Array(texts.chunks.length).fill(null);
    this.found = new Map();
  }

  // The folded texts of a chunk; asked for as soon as the chunk is there, so that the first search is not slow.
  haystack(chunk) {
    if (this.haystacks[chunk] === null) {
      const texts = this.texts.chunks[chunk];
      const starts = new Uint32Array(texts.length + 1);
      texts.forEach((text, at) => { starts[at + 1] = starts[at] + text.length + 1; });
      this.haystacks[chunk] = { text: folded(texts.join("\n")), starts };
    }
    return this.haystacks[chunk];
  }

  // One byte a text: 1 if it holds the word; a hidden character may be written as it is shown, \u{200b}. Chunks that are not unpacked yet hold nothing.
  hits(word) {
    const needle = folded(word.replace(/\\u\{([0-9a-f]{1,5})\}/gi, (_, code) => String.fromCodePoint(parseInt(code, 16))));
    if (!this.found.has(needle)) {
      const hits = new Uint8Array(this.texts.starts.at(-1));
      this.texts.chunks.forEach((texts, chunk) => { if (texts) this.mark(chunk, needle, hits); });
      if (!this.texts.isComplete) return hits; // and not kept
      if (this.found.size > 40) this.found.clear();
      this.found.set(needle, hits);
    }
    return this.found.get(needle);
  }

  mark(chunk, needle, hits) {
    const { text, starts } = this.haystack(chunk);
    const first = this.texts.starts[chunk];
    const offset = rarest(needle), tail = needle.slice(offset);
    let at = 0;
    for (let found = text.indexOf(tail, offset); found >= 0;) {
      const place = found - offset;
      if (!text.startsWith(needle, place)) {
        found = text.indexOf(tail, found + 1);
        continue;
      }
      while (starts[at + 1] <= place) at += 1;
      if (place + needle.length < starts[at + 1]) hits[first + at] = 1; // not across the end of a text
      at += 1;
      if (at >= starts.length - 1) break;
      found = text.indexOf(tail, starts[at] + offset);
    }
  }
}
