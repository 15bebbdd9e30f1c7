// Labels in place: one response and rubric at a time, the judge's score hidden, the most informative rows first.

import { agreement, grouped, moreFor } from "../data/agreement.js";
import { NOT_SURE } from "../data/labels.js";
import { meta } from "../meta.js";
import { go, state } from "../state.js";
import { announce, byId, decimals, make, plural, whole } from "./dom.js";
import { nameOf } from "./groups.js";
import { plain, response } from "./texts.js";

const WISHED = 0.1; // width of an interval: 5 points to either side

export class LabelView {
  constructor({ table, texts, labels, scale }) {
    Object.assign(this, { table, texts, labels, scale, queue: [] });
    byId("pick").addEventListener("change", () => go({ pick: byId("pick").value, at: "" }, { quiet: true }));
    byId("blind").addEventListener("change", () => this.toggleBlind());
    byId("save").addEventListener("click", () => this.save());
  }

  // --- which rows, in which order ---

  show({ rows }) {
    if (!this.texts.isComplete) {
      byId("label-item").replaceChildren(make("p", { class: "empty", text: "reading texts …" }));
      return;
    }
    const question = `${state.find}|${state.where}|${state.pick}`;
    if (question !== this.question) this.queue = this.ordered(rows.filter((at) => !this.table.number("cut", at) && !this.isChecklist(at)));
    this.question = question;
    byId("pick").value = state.pick;
    byId("blind").checked = state.blind !== "off";
    const asked = Number(state.at) - 1;
    this.at = state.at && this.queue.includes(asked) ? asked : this.queue.find((at) => !this.labels.get(at)) ?? this.queue[0];
    this.paint();
  }

  // A checklist's score is made of its criteria: it has no levels to choose from.
  isChecklist(at) {
    return this.text("details", at).startsWith('{"parts"');
  }

  ordered(rows) {
    const weights = new Map(rows.map((at) => [at, state.pick === "random" ? shuffled(at) : this.informativeness(at)]));
    return rows.sort((one, other) => weights.get(other) - weights.get(one) || one - other);
  }

  // How much a label tells: where the judge wavers, is at odds with the given order, or may have been addressed.
  informativeness(at) {
    const { table } = this, [low, high] = this.scale;
    const entropy = table.number("entropy", at) / Math.log(Math.max(2, table.labels.length));
    const rounding = Math.abs(table.number("integer", at) - table.number("score", at)) / (high - low);
    const margin = table.number("margin", at);
    return (entropy || 0) + (rounding || 0) + (table.category("pair", at) === "disagrees" ? 1 : 0)
      + (Number.isFinite(margin) ? 0.5 * Math.max(0, 1 - Math.abs(margin)) : 0) + (table.category("flag", at) ? 1 : 0);
  }

  scores() {
    const rubric = meta.rubrics[this.table.category("rubric", this.at)];
    const [low, high] = rubric ? rubric.scale : this.scale;
    return Array.from({ length: high - low + 1 }, (_, step) => low + step);
  }

  // --- what a person does ---

  give(score) {
    if (this.at === undefined) return;
    if (score !== NOT_SURE && score !== null && !this.scores().includes(score)) return;
    this.labels.set(this.at, score, state.pick || "informative");
    announce(score === null ? "label taken back" : `labeled ${score}`);
    const place = this.queue.indexOf(this.at);
    const next = [...this.queue.slice(place + 1), ...this.queue.slice(0, place)].find((at) => !this.labels.get(at));
    if (score === null || next === undefined) this.paint();
    else go({ at: next + 1 }, { quiet: true });
  }

  // `y` and `n` for a criterion that is met or not.
  answer(isYes) {
    const scores = this.at === undefined ? [] : this.scores();
    if (scores.length === 2) this.give(scores[isYes ? 1 : 0]);
  }

  step(by) {
    const place = this.queue.indexOf(this.at) + by;
    if (this.queue[place] !== undefined) go({ at: this.queue[place] + 1 }, { quiet: true });
  }

  toggleBlind() {
    go({ blind: state.blind === "off" ? "" : "off" }, { quiet: true });
  }

  save() {
    const lines = this.labels.lines();
    const address = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" }));
    make("a", { href: address, download: "labels.jsonl" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    announce(`${plural(lines.length, "label")} saved`);
  }

  // --- what is shown ---

  paint() {
    const labeled = this.labels.labeled(), unsure = labeled.filter(({ score }) => score === NOT_SURE).length;
    const cut = this.table.numbers.cut ? ", texts that are shown in part left out" : "";
    byId("label-progress").textContent = `${plural(labeled.length - unsure, "label")}, ${unsure} not sure, of ${whole(this.queue.length)} rows${cut}`;
    byId("save").disabled = labeled.length === unsure;
    byId("label-warning").textContent = this.warning(labeled);
    byId("label-item").replaceChildren(...(this.at === undefined ? [make("p", { class: "empty", text: "No row to label: change the filter." })] : this.item()));
    byId("label-figures").replaceChildren(...(state.blind === "off" ? this.figures(labeled) : []));
  }

  warning(labeled) {
    if (!this.labels.isKept) return "This browser keeps nothing of a page from disk: save before you close it.";
    const unknown = [...new Set(labeled.map(({ at }) => this.table.category("rubric", at)))].filter((name) => !meta.rubrics[name]);
    return unknown.length ? `evaluate refuses labels by ${unknown.join(", ")}: make this page with report --rubric FILE, your labels stay` : "";
  }

  text(name, at = this.at) {
    return this.texts.get(this.table.textIds[name][at]) ?? "";
  }

  item() {
    const { table, at } = this, name = table.category("rubric", at), rubric = meta.rubrics[name], given = this.labels.get(at);
    const scores = this.scores(), isBinary = scores.length === 2;
    const key = (score) => (isBinary ? `${score} or ${score === scores[1] ? "y" : "n"}` : String(score));
    const buttons = scores.map((score) => make("button", { type: "button", class: "choice", "aria-pressed": String(given?.score === score), onclick: () => this.give(score) },
      make("kbd", { text: key(score) }), make("span", { text: rubric?.descriptions[score] ?? `score ${score}` })));
    buttons.push(make("button", { type: "button", class: "choice", "aria-pressed": String(given?.score === NOT_SURE), onclick: () => this.give(NOT_SURE) }, make("kbd", { text: "x" }), make("span", { text: "not sure" })));
    const part = (title, content) => make("section", {}, make("h2", { text: title }), make("div", { class: "text", dir: "auto", tabindex: "0", role: "region", "aria-label": title }, ...content));
    const reference = this.text("reference");
    return [
      make("div", { class: "label-texts" }, part(`Prompt, ${nameOf(table, at)}`, plain(this.text("prompt"))), reference ? part("Reference answer", plain(reference)) : null, part("Response", response(this.text("response")).content)),
      make("div", { class: "label-choices" }, make("h2", { text: name }),
        make("p", { class: "soft", text: rubric ? rubric.criteria : "The page does not know this rubric's text: name its file with `prom-reward report --rubric`." }),
        ...buttons, state.blind === "off" ? this.judged() : null),
    ];
  }

  judged() {
    const { table, at } = this, score = table.number("score", at);
    return make("div", { class: "judged" }, make("h2", { text: `The judge: ${Number.isFinite(score) ? score.toFixed(2) : table.category("outcome", at)}` }),
      make("div", { class: "text", dir: "auto" }, ...plain(this.text("feedback") || "(no feedback)")));
  }

  figures(labeled) {
    const { table } = this, rows = labeled.filter(({ at, score }) => score !== NOT_SURE && Number.isFinite(table.number("integer", at)));
    if (!rows.length) return [make("p", { class: "soft", text: "Agreement stands here after the first label." })];
    const byRubric = grouped(rows, ({ at }) => table.category("rubric", at));
    const parts = [...byRubric].map(([name, some]) => [name, some, agreement(some.map(({ at, score }) => this.pair(at, score)))]);
    const cell = ({ value, low, high }) => `${decimals(value)}${Number.isFinite(low) ? ` (${decimals(low)} to ${decimals(high)})` : ""}`;
    const line = (title, note, cells) => make("tr", {}, make("th", { scope: "row" }, title, note ? make("small", { text: note }) : null), ...cells.map((text) => make("td", { text })));
    const picked = rows.filter((row) => row.picked !== "random").length;
    return [
      make("h2", { text: "The judge beside these labels" }),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Agreement" }, make("table", { class: "results" },
        make("thead", {}, make("tr", {}, make("td", {}), ...parts.map(([name]) => make("th", { scope: "col", text: name })))),
        make("tbody", {}, line("labels", "", parts.map(([, some]) => whole(some.length))),
          ...parts[0][2].map(({ name, note }, place) => line(name, note, parts.map(([, , measures]) => cell(measures[place])))),
          line("labels to go", "for the same score ± 5 points", parts.map(([, some, measures]) => (Number.isFinite(measures[0].low) ? whole(moreFor(some.length, measures[0], WISHED)) : "–")))))),
      make("p", { class: "soft", text: `95 % intervals by a bootstrap over prompts. Good is a score over the middle of the scale.${picked ? ` ${plural(picked, "label")} of rows that were picked as informative: on all rows the judge is likely better, so pick at random for figures.` : ""}` }),
    ];
  }

  pair(at, person) {
    const rubric = meta.rubrics[this.table.category("rubric", at)], [low, high] = rubric ? rubric.scale : this.scale;
    return { person, judge: this.table.number("integer", at), prompt: this.table.textIds.prompt[at], good: Math.floor((low + high) / 2) + 1 };
  }
}

// A number that looks random and is the same for a row each time.
const shuffled = (at) => (Math.imul(at + 1, 2654435761) >>> 0) ^ (Math.imul(at + 7, 40503) >>> 0);
