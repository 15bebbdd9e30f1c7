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
    const groups = this.numbers.group;
    this.groupStarts = [];
    for (let at = 0; at < this.size; at += 1) {
      if (at === 0 || groups[at] !== groups[at - 1]) this.groupStarts.push(at);
    }
    this.groupStarts.push(this.size);
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
