// Agreement of a judge with a person's labels. Intervals are of 95 %, by a bootstrap over prompts: answers to one prompt
// are not independent.

const RESAMPLES = 1000;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export const grouped = (rows, key) => {
  const groups = new Map();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return groups;
};

// A generator of numbers from 0 to 1 (mulberry32, public domain), so that the same labels give the same intervals.
const draws = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
};

const share = (rows, isCounted, holds) => {
  const counted = rows.filter(isCounted);
  return counted.length ? mean(counted.map((row) => (holds(row) ? 1 : 0))) : NaN;
};

// Quadratic weighted kappa (Cohen 1968): 1 minus the squared gaps over those of independent raters.
export const kappa = (rows) => {
  const people = rows.map((row) => row.person), judges = rows.map((row) => row.judge);
  const gaps = mean(rows.map((row) => (row.person - row.judge) ** 2));
  const spread = (values) => mean(values.map((value) => value ** 2)) - mean(values) ** 2;
  const chance = spread(people) + spread(judges) + (mean(people) - mean(judges)) ** 2;
  return chance > 0 ? 1 - gaps / chance : NaN;
};

const interval = (rows, measure) => {
  const prompts = [...grouped(rows, (row) => row.prompt).values()];
  if (prompts.length < 2) return [NaN, NaN];
  const draw = draws(1), found = [];
  for (let round = 0; round < RESAMPLES; round += 1) {
    const value = measure(prompts.flatMap(() => prompts[Math.floor(draw() * prompts.length)]));
    if (Number.isFinite(value)) found.push(value);
  }
  found.sort((one, other) => one - other);
  return found.length > RESAMPLES / 2 ? [found[Math.floor(0.025 * found.length)], found[Math.ceil(0.975 * found.length) - 1]] : [NaN, NaN];
};

// `rows` have { person, judge, prompt, good }: integers, the prompt, and the lowest score that counts as good.
export const agreement = (rows) => {
  const measures = [
    ["same score", "accuracy", (some) => share(some, () => true, (row) => row.person === row.judge)],
    ["at most 1 apart", "", (some) => share(some, () => true, (row) => Math.abs(row.person - row.judge) <= 1)],
    ["weighted kappa", "quadratic", kappa],
    ["good found", "TPR", (some) => share(some, (row) => row.person >= row.good, (row) => row.judge >= row.good)],
    ["bad found", "TNR", (some) => share(some, (row) => row.person < row.good, (row) => row.judge < row.good)],
  ];
  return measures.map(([name, note, measure]) => {
    const [low, high] = rows.length > 1 ? interval(rows, measure) : [NaN, NaN];
    return { name, note, value: rows.length ? measure(rows) : NaN, low, high };
  });
};

// How many more labels narrow an interval of `count` labels to `width`: it shrinks with the root of their number.
export const moreFor = (count, { low, high }, width) => (high - low > width ? Math.ceil(count * (((high - low) / width) ** 2 - 1)) : 0);
