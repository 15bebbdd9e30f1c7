// The judgments as columns, and their texts, which are unpacked chunk by chunk.

export class Table {
  constructor(packed) {
    this.size = packed.size;
    this.labels = packed.labels;
    this.probs = packed.probs;
    this.numbers = {};
    this.categories = packed.categories;
    this.textIds = packed.texts;
    for (const [name, values] of Object.entries(packed.numbers)) {
      this.numbers[name] = Float64Array.from(values, (value) => value ?? NaN);
    }
    this.findGroups();
  }

  findGroups() {
    const groups = this.numbers.group;
    this.groupStarts = [];
    for (let at = 0; at < this.size; at += 1) {
      if (at === 0 || groups[at] !== groups[at - 1]) this.groupStarts.push(at);
    }
    this.groupStarts.push(this.size);
  }

  // Adds whole groups after the others; their texts have numbers from `firstText` on.
  append(packed, firstText) {
    const groups = this.numGroups, before = this.size;
    this.size += packed.size;
    const labels = [...new Set([...this.labels, ...packed.labels])].sort((one, other) => one - other);
    const moved = (probs, from) => probs && labels.map((label) => probs[from.indexOf(label)] ?? 0);
    this.probs = [...this.probs.map((probs) => moved(probs, this.labels)), ...packed.probs.map((probs) => moved(probs, packed.labels))];
    this.labels = labels;
    for (const name of new Set([...Object.keys(this.numbers), ...Object.keys(packed.numbers)])) {
      const values = new Float64Array(this.size).fill(NaN);
      values.set(this.numbers[name] ?? []);
      const shift = name === "group" ? groups : 0;
      (packed.numbers[name] ?? []).forEach((value, at) => { values[before + at] = value === null ? NaN : value + shift; });
      this.numbers[name] = values;
    }
    for (const [name, { names, codes }] of Object.entries(packed.categories)) {
      const own = this.categories[name];
      const places = names.map((text) => (own.names.includes(text) ? own.names.indexOf(text) : own.names.push(text) - 1));
      for (const code of codes) own.codes.push(places[code]);
    }
    for (const [name, ids] of Object.entries(packed.texts)) for (const id of ids) this.textIds[name].push(id + firstText);
    this.findGroups();
  }

  get numGroups() {
    return this.groupStarts.length - 1;
  }

  has(name) {
    const category = this.categories[name];
    return name in this.numbers || name in this.textIds || Boolean(category && category.names.some(Boolean));
  }

  number(name, at) {
    return name in this.numbers ? this.numbers[name][at] : NaN;
  }

  category(name, at) {
    const { names, codes } = this.categories[name];
    return names[codes[at]];
  }

  // Rows of a group, by its place in the list of groups.
  rowsOf(group) {
    const rows = [];
    for (let at = this.groupStarts[group]; at < this.groupStarts[group + 1]; at += 1) rows.push(at);
    return rows;
  }

  // Members of a group in order, each with its rows by rubric.
  membersOf(group) {
    const members = new Map();
    for (const at of this.rowsOf(group)) {
      const name = this.category("response_name", at);
      if (!members.has(name)) members.set(name, { name, rows: new Map(), first: at });
      members.get(name).rows.set(this.category("rubric", at), at);
    }
    return [...members.values()];
  }
}

export class Texts {
  // `sources` are functions that give a promise of a chunk's texts; `counts` the number of texts in each.
  constructor(sources, counts) {
    this.sources = sources;
    this.starts = [0];
    for (const count of counts) this.starts.push(this.starts.at(-1) + count);
    this.chunks = new Array(sources.length).fill(null);
    this.loading = new Array(sources.length).fill(null);
  }

  get count() {
    return this.starts.at(-1);
  }

  append(chunks) {
    for (const chunk of chunks) {
      this.starts.push(this.count + chunk.length);
      this.chunks.push(chunk);
      this.loading.push(Promise.resolve());
    }
  }

  get isComplete() {
    return this.chunks.every((chunk) => chunk !== null);
  }

  get share() {
    return this.chunks.filter((chunk) => chunk !== null).length / Math.max(1, this.chunks.length);
  }

  chunkOf(id) {
    let low = 0, high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= id) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // The text, or null if its chunk is not unpacked yet.
  get(id) {
    const chunk = this.chunkOf(id);
    return this.chunks[chunk] === null ? null : this.chunks[chunk][id - this.starts[chunk]];
  }

  load(chunk) {
    this.loading[chunk] ??= this.sources[chunk]().then((texts) => { this.chunks[chunk] = texts; });
    return this.loading[chunk];
  }

  async need(ids) {
    await Promise.all([...new Set(ids.map((id) => this.chunkOf(id)))].map((chunk) => this.load(chunk)));
  }

  // Unpacks the rest, one chunk at a time, so that the page stays responsive.
  async loadAll(onChunk) {
    for (let chunk = 0; chunk < this.chunks.length; chunk += 1) {
      if (this.chunks[chunk] !== null) continue;
      await this.load(chunk);
      onChunk(chunk);
      await new Promise((done) => setTimeout(done));
    }
  }
}
