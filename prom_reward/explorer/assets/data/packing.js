// Unpacks what `prom_reward.pages.packing` packs: base 85 around gzip around JSON.

const ALPHABET = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at))
  .filter((character) => !"<>&\"'\\`".includes(character))
  .slice(0, 85);
const DIGITS = new Uint8Array(128);
ALPHABET.forEach((character, digit) => { DIGITS[character.charCodeAt(0)] = digit; });

export const decode = (text) => {
  const start = text.indexOf(":") + 1;
  const words = (text.length - start) / 5;
  const bytes = new DataView(new ArrayBuffer(words * 4));
  for (let word = 0, at = start; word < words; word += 1, at += 5) {
    let value = 0;
    for (let digit = 0; digit < 5; digit += 1) value = value * 85 + DIGITS[text.charCodeAt(at + digit)];
    bytes.setUint32(word * 4, value);
  }
  return new Uint8Array(bytes.buffer, 0, Number(text.slice(0, start - 1)));
};

export const unpack = async (text) => {
  const stream = new Blob([decode(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};
