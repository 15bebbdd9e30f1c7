// Chooses and orders the rows and groups that the link asks for.

import { FilterError, parseFilter } from "./filter.js";
import { Search } from "./search.js";

const READERS = (table, texts) => {
  const columns = new Map();
  for (const name of Object.keys(table.numbers)) {
    const values = table.numbers[name];
    columns.set(name, { isNumber: true, values, read: (row) => values[row] });
  }
  for (const name of Object.keys(table.categories)) columns.set(name, { isNumber: false, read: (row) => table.category(name, row) });
  for (const [name, ids] of Object.entries(table.textIds)) if (!["details", "criteria"].includes(name)) columns.set(name, { isNumber: false, read: (row) => texts.get(ids[row]) ?? "" });
  return columns;
};

// Orders of the list of groups: each maps a group's figures to a number, the smallest first.
export const ORDERS = {
  "": ["in order", null],
  spread: ["largest spread first", (figures) => -figures.spread],
  low: ["lowest mean first", (figures) => figures.mean],
  high: ["highest mean first", (figures) => -figures.mean],
  worst: ["lowest single score first", (figures) => figures.lowest],
  unsure: ["most uncertain first", (figures) => -figures.entropy],
  change: ["largest change first", (figures) => -figures.gap],
  miss: ["furthest from the label first", (figures) => -figures.miss],
  rise: ["largest rise first", (figures) => -figures.rise],
  large: ["largest group first", (figures) => -figures.size],
};

export class Query {
  constructor(table, texts) {
    this.table = table;
    this.texts = texts;
    this.grow();
  }

  // Reads the columns again after groups were appended.
  grow() {
    const { table, texts } = this;
    this.search = new Search(texts);
    this.columns = READERS(table, texts);
    this.value = "reward" in table.numbers ? "reward" : "score";
    this.figures = Array.from({ length: table.numGroups }, (_, group) => this.figuresOf(group));
  }

  // Mean, range and the like of a group, by response and not by rubric where there is a reward.
  figuresOf(group) {
    const { table } = this;
    let sum = 0, count = 0, low = Infinity, high = -Infinity, lowest = Infinity;
    const largest = { entropy: -Infinity, gap: -Infinity, miss: -Infinity, rise: -Infinity };
    for (let at = table.groupStarts[group]; at < table.groupStarts[group + 1]; at += 1) {
      const value = table.number(this.value, at);
      if (!Number.isNaN(value)) {
        sum += value;
        count += 1;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      const score = table.number("score", at);
      if (score < lowest) lowest = score;
      for (const name of Object.keys(largest)) {
        const own = table.number(name, at);
        if (own > largest[name]) largest[name] = own;
      }
    }
    return { mean: count ? sum / count : NaN, low, high, spread: count ? high - low : NaN, lowest, ...largest,
      size: table.number("size", table.groupStarts[group]) };
  }

  // Returns { rows, groups, matches, error }: rows that pass, groups with such a row, and their number by group.
  run({ find, where, sort, down, order }) {
    const { table } = this;
    let test = null, error = "";
    try {
      test = parseFilter(where, this.columns);
    } catch (problem) {
      if (!(problem instanceof FilterError)) throw problem;
      error = problem.message;
    }
    const hits = find.split(/\s+/).filter(Boolean).map((word) => this.search.hits(word));
    const { prompt, response, feedback } = table.textIds;
    const holds = (word, at) => word[prompt[at]] || word[response[at]] || word[feedback[at]];
    const rows = [], groups = [], matches = new Map();
    for (let group = 0; group < table.numGroups; group += 1) {
      let found = 0;
      for (let at = table.groupStarts[group]; at < table.groupStarts[group + 1]; at += 1) {
        if ((test && !test(at)) || !hits.every((word) => holds(word, at))) continue;
        rows.push(at);
        found += 1;
      }
      if (found) {
        groups.push(group);
        matches.set(group, found);
      }
    }
    this.sortRows(rows, sort, Boolean(down));
    const [, key] = ORDERS[order] ?? ORDERS[""];
    if (key) groups.sort(this.comparison((group) => key(this.figures[group])));
    return { rows, groups, matches, error };
  }

  sortRows(rows, name, isDown) {
    const column = this.columns.get(name);
    if (!column) return;
    if (column.isNumber) {
      const { values } = column; // a typed array: twice as fast as asking for each
      rows.sort(this.comparison((row) => values[row], isDown));
      return;
    }
    const values = new Array(this.table.size);
    for (const row of rows) values[row] = column.read(row);
    rows.sort(this.comparison((row) => values[row], isDown));
  }

  // Rows without a value come last in either order; equal ones keep theirs.
  comparison(read, isDown = false) {
    const isMissing = (value) => value === "" || Number.isNaN(value) || Math.abs(value) === Infinity;
    return (one, other) => {
      const [first, second] = [read(one), read(other)];
      const missing = isMissing(first) - isMissing(second);
      if (missing || (isMissing(first) && isMissing(second))) return missing || one - other;
      const order = first < second ? -1 : first > second ? 1 : 0;
      return (isDown ? -order : order) || one - other;
    };
  }
}
