// Labels of a person: kept in the browser's storage by the content that was labeled, and saved as JSON lines.

export const NOT_SURE = "not sure";

// A 53-bit hash (cyrb53, public domain) of a text.
const hash = (text) => {
  let one = 0xdeadbeef, other = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    one = Math.imul(one ^ code, 2654435761);
    other = Math.imul(other ^ code, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(other ^ (other >>> 13), 3266489909);
  other = Math.imul(other ^ (other >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return (4294967296 * (2097151 & other) + (one >>> 0)).toString(36);
};

export class Labels {
  constructor({ table, texts, rubrics, name }) {
    Object.assign(this, { table, texts, rubrics, place: `prom_reward labels of ${name}`, isKept: true, keys: [], hashes: [] });
    try {
      this.values = new Map(JSON.parse(localStorage.getItem(this.place) ?? "[]"));
    } catch {
      this.values = new Map();
      this.isKept = false;
    }
  }

  // What identifies a row: prompt, response and rubric, so that labels outlive a new page of the same data.
  key(at) {
    this.keys[at] ??= hash([this.hashOf("prompt", at), this.hashOf("response", at), this.table.category("rubric", at)].join(" "));
    return this.keys[at];
  }

  hashOf(name, at) {
    const id = this.table.textIds[name][at];
    this.hashes[id] ??= hash(this.text(name, at));
    return this.hashes[id];
  }

  text(name, at) {
    return this.texts.get(this.table.textIds[name][at]) ?? "";
  }

  get(at) {
    return this.values.get(this.key(at));
  }

  // `picked` says how the row was chosen; without a score its label is taken back.
  set(at, score, picked) {
    if (score === null) this.values.delete(this.key(at));
    else this.values.set(this.key(at), { score, picked });
    this.keep();
  }

  // A verdict on one criterion of a checklist: true, false or NOT_SURE; null takes it back.
  setMet(at, criterion, verdict, picked) {
    const met = new Map(this.get(at)?.met);
    if (verdict === null) met.delete(hash(criterion.text));
    else met.set(hash(criterion.text), verdict);
    if (met.size) this.values.set(this.key(at), { met: [...met], picked });
    else this.values.delete(this.key(at));
    this.keep();
  }

  keep() {
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.values]));
    } catch {
      this.isKept = false;
    }
  }

  // The verdict on a criterion, which is known by its text, so that an edited one has none.
  metOf(at, { text }) {
    return new Map(this.get(at)?.met).get(hash(text));
  }

  // The criteria of a checklist that a judge decides, as { name, text, ... }: those of the known one, else of the row itself.
  criteria(at) {
    const known = this.rubrics[this.table.category("rubric", at)], own = this.text("criteria", at);
    return Array.isArray(known?.criteria) ? known.criteria : own ? JSON.parse(own) : [];
  }

  isDone(at) {
    const label = this.get(at);
    return Boolean(label) && (!label.met || this.criteria(at).every((one) => this.metOf(at, one) !== undefined));
  }

  // Rows of this page that have a label, each content once.
  labeled() {
    const seen = new Map();
    for (let at = 0; this.values.size && at < this.table.size; at += 1) {
      const key = this.key(at);
      if (this.values.has(key) && !seen.has(key)) seen.set(key, { at, ...this.values.get(key) });
    }
    return [...seen.values()];
  }

  // JSON lines of scores that `prom-reward evaluate` reads; rows that a person was not sure of are left out.
  scoreLines() {
    return this.labeled().filter(({ met, score }) => !met && score !== NOT_SURE).map(({ at, score, picked }) => {
      const name = this.table.category("rubric", at); // without its text it would be read as a built-in one of this name
      const rubric = this.rubrics[name] ? { rubric: this.rubrics[name] } : { rubric_name: name };
      return JSON.stringify({ ...this.request(at), ...rubric, human_score: score, picked, judge_score: this.table.number("score", at) });
    });
  }

  // The same of verdicts, by a checklist of the criteria that have one.
  verdictLines() {
    return this.labeled().filter(({ met }) => met).flatMap(({ at, picked }) => {
      const sure = this.criteria(at).filter((one) => typeof this.metOf(at, one) === "boolean");
      const labels = Object.fromEntries(sure.map((one) => [one.name, this.metOf(at, one)]));
      return sure.length ? [JSON.stringify({ ...this.request(at), rubric: { name: this.table.category("rubric", at), criteria: sure }, labels, picked })] : [];
    });
  }

  request(at) {
    const reference = this.text("reference", at);
    return { instruction: this.text("prompt", at), response: this.text("response", at), ...(reference ? { reference_answer: reference } : {}), judge: this.table.category("judge", at) };
  }
}
