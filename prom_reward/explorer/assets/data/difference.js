// Words of a text that another text does not have in the same order: the longest common subsequence is left out.

const MAX_WORDS = 1500; // a text; longer ones are compared up to there

// Words and signs, each with the blanks that follow it.
const wordsOf = (text) => text.match(/[\p{L}\p{N}_]+\s*|[^\s\p{L}\p{N}_]\s*|\s+/gu) ?? [];

// Numbers of words: equal ones have the same, whatever blanks follow.
const numbersOf = (words, numbers) => Int32Array.from(words.slice(0, MAX_WORDS), (word) => {
  const key = word.trim();
  if (!numbers.has(key)) numbers.set(key, numbers.size);
  return numbers.get(key);
});

// Returns { parts, share }: pieces of `text` as [piece, isNew], and the share of its words that `base` has too.
export const difference = (base, text) => {
  const words = wordsOf(text), numbers = new Map();
  const one = numbersOf(wordsOf(base), numbers), other = numbersOf(words, numbers);
  const width = other.length + 1;
  const lengths = new Uint16Array((one.length + 1) * width); // of the common part of what follows
  for (let row = one.length - 1; row >= 0; row -= 1) {
    for (let column = other.length - 1; column >= 0; column -= 1) {
      const at = row * width + column;
      lengths[at] = one[row] === other[column] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const parts = [];
  const add = (word, isNew) => {
    if (parts.length && parts.at(-1)[1] === isNew) parts.at(-1)[0] += word;
    else parts.push([word, isNew]);
  };
  let row = 0;
  other.forEach((number, column) => {
    const skips = () => row < one.length && one[row] !== number && lengths[(row + 1) * width + column] >= lengths[row * width + column + 1];
    while (skips()) row += 1;
    const isCommon = row < one.length && one[row] === number;
    if (isCommon) row += 1;
    add(words[column], !isCommon);
  });
  if (words.length > MAX_WORDS) add(words.slice(MAX_WORDS).join(""), false);
  return { parts, share: other.length ? lengths[0] / other.length : 1 };
};
