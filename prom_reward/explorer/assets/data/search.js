// Full text search over all texts: letters of either case are the same.
//
// Each text has a signature of 1024 bits, one set for every three characters in a row. A text that holds a word has all of
// the word's bits, so few others are looked at.

const WORDS = 32; // of 32 bits in a signature

// "İ" alone becomes longer in lower case, which would move the places of all that follows.
export const folded = (text) => text.replaceAll("İ", "i").toLowerCase();

// Sets the bits of a part of a text in the signature that begins at `first`.
const sign = (text, start, end, words, first) => {
  let last = (text.charCodeAt(start) << 8) ^ text.charCodeAt(start + 1); // characters, the newest in the lowest byte
  for (let place = start + 2; place < end; place += 1) {
    last = ((last << 8) ^ text.charCodeAt(place)) & 0xffffff;
    const bit = Math.imul(last, 0x9e3779b1) >>> 22; // a multiplicative hash (Knuth)
    words[first + (bit >> 5)] |= 1 << (bit & 31);
  }
};

// Whether the signature that begins at `first` has all bits of another one, given as [place, word] of its words.
const holds = (words, first, wanted) => {
  for (const [place, word] of wanted) if ((words[first + place] & word) !== word) return false;
  return true;
};

export class Search {
  constructor(texts) {
    this.texts = texts;
    this.haystacks = new Array(texts.chunks.length).fill(null);
    this.found = new Map();
  }

  // The folded texts of a chunk with their signatures; asked for as soon as the chunk is there, so that the first search is not slow.
  haystack(chunk) {
    if (this.haystacks[chunk] === null) {
      const texts = this.texts.chunks[chunk], text = folded(texts.join("\n"));
      const starts = new Uint32Array(texts.length + 1), signatures = new Int32Array(WORDS * texts.length);
      texts.forEach((one, at) => {
        starts[at + 1] = starts[at] + one.length + 1;
        sign(text, starts[at], starts[at + 1] - 1, signatures, WORDS * at);
      });
      this.haystacks[chunk] = { text, starts, signatures };
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
    const { text, starts, signatures } = this.haystack(chunk), first = this.texts.starts[chunk];
    const own = new Int32Array(WORDS);
    sign(needle, 0, needle.length, own, 0);
    const wanted = [...own.entries()].filter(([, word]) => word);
    for (let at = 0; at < starts.length - 1; at += 1) {
      if (holds(signatures, WORDS * at, wanted) && text.slice(starts[at], starts[at + 1] - 1).includes(needle)) hits[first + at] = 1;
    }
  }
}
