// Labels in place: one response and rubric at a time, the judge's score hidden, the most informative rows first.

import { NOT_SURE } from "../data/labels.js";
import { meta } from "../meta.js";
import { go, state } from "../state.js";
import { announce, byId, make, plural, whole } from "./dom.js";
import { labelFigures } from "./label_figures.js";
import { criterionChoices, itemTexts, levelChoices } from "./label_item.js";

export class LabelView {
  constructor({ table, texts, labels, scale }) {
    Object.assign(this, { table, texts, labels, scale, queue: [], criterion: 0 });
    byId("pick").addEventListener("change", () => go({ pick: byId("pick").value, at: "" }, { quiet: true }));
    byId("width").addEventListener("change", () => go({ width: byId("width").value }, { quiet: true }));
    byId("blind").addEventListener("change", () => this.toggleBlind());
    byId("save").addEventListener("click", () => this.save("labels.jsonl", this.labels.scoreLines()));
    byId("save-verdicts").addEventListener("click", () => this.save("verdicts.jsonl", this.labels.verdictLines()));
  }

  // --- which rows, in which order ---

  show({ rows }) {
    if (!this.texts.isComplete) {
      byId("label-item").replaceChildren(make("p", { class: "empty", text: "reading texts …" }));
      return;
    }
    const question = `${state.find}|${state.where}|${state.pick}`;
    if (question !== this.question) this.queue = this.ordered(rows.filter((at) => !this.table.number("cut", at) && !(this.isChecklist(at) && !this.labels.criteria(at).length)));
    this.question = question;
    byId("pick").value = state.pick;
    byId("width").value = state.width;
    byId("blind").checked = state.blind !== "off";
    const asked = Number(state.at) - 1, before = this.at;
    this.at = state.at && this.queue.includes(asked) ? asked : this.queue.find((at) => !this.labels.isDone(at)) ?? this.queue[0];
    if (this.at !== before) this.criterion = this.nextCriterion(0);
    this.paint();
  }

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
    const [low, high] = meta.rubrics[this.table.category("rubric", this.at)]?.scale ?? this.scale;
    return Array.from({ length: high - low + 1 }, (_, step) => low + step);
  }

  // The criteria of the open row; none if it has levels.
  criteria() {
    return this.at !== undefined && this.isChecklist(this.at) ? this.labels.criteria(this.at) : [];
  }

  // --- what a person does ---

  // A score of the row, or NOT_SURE; null takes it back. Of a checklist it is the current criterion's.
  give(score) {
    if (this.at === undefined) return;
    if (this.criteria().length) {
      if (score === NOT_SURE || score === null) this.giveVerdict(this.criterion, score);
      return;
    }
    if (score !== NOT_SURE && score !== null && !this.scores().includes(score)) return;
    this.labels.set(this.at, score, state.pick || "informative");
    announce(score === null ? "label taken back" : `labeled ${score}`);
    if (score === null) this.paint();
    else this.goOn();
  }

  giveVerdict(place, verdict) {
    const criterion = this.criteria()[place], told = verdict === true ? "met" : verdict === false ? "not met" : verdict;
    this.labels.setMet(this.at, criterion, verdict, state.pick || "informative");
    announce(verdict === null ? "verdict taken back" : `${told}: ${criterion.text}`);
    this.criterion = verdict === null ? place : this.nextCriterion(place);
    if (this.labels.isDone(this.at)) this.goOn();
    else this.paintCriterion();
  }

  // `y` and `n` for a criterion that is met or not, and on a scale of two.
  answer(isYes) {
    if (this.at === undefined) return;
    if (this.criteria().length) this.giveVerdict(this.criterion, isYes);
    else if (this.scores().length === 2) this.give(this.scores()[isYes ? 1 : 0]);
  }

  // Opens the next row without a label.
  goOn() {
    const place = this.queue.indexOf(this.at);
    const next = [...this.queue.slice(place + 1), ...this.queue.slice(0, place)].find((at) => !this.labels.isDone(at));
    if (next === undefined) this.paint();
    else go({ at: next + 1 }, { quiet: true });
  }

  // The place of the first criterion without a verdict from `start` on, then from the beginning; `start` if all have one.
  nextCriterion(start) {
    const open = this.criteria().flatMap((one, place) => (this.labels.metOf(this.at, one) === undefined ? [place] : []));
    return open.find((place) => place >= start) ?? open[0] ?? start;
  }

  moveCriterion(by) {
    this.criterion = Math.min(Math.max(0, this.criterion + by), this.criteria().length - 1);
    this.paintCriterion();
  }

  paintCriterion() {
    this.paint();
    byId("label-item").querySelector(".current")?.scrollIntoView({ block: "nearest" });
  }

  step(by) {
    const place = this.queue.indexOf(this.at) + by;
    if (this.queue[place] !== undefined) go({ at: this.queue[place] + 1 }, { quiet: true });
  }

  toggleBlind() {
    go({ blind: state.blind === "off" ? "" : "off" }, { quiet: true });
  }

  // The file of the kind of labels that the open row gets; `evaluate` reads one kind at a time.
  saveOpen() {
    byId(this.criteria().length ? "save-verdicts" : "save").click();
  }

  save(name, lines) {
    const address = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" }));
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    announce(`${plural(lines.length, "row")} saved`);
  }

  // --- what is shown ---

  paint() {
    const labeled = this.labels.labeled(), given = labeled.flatMap(({ met, score }) => (met ? met.map(([, verdict]) => verdict) : [score]));
    const unsure = given.filter((label) => label === NOT_SURE).length;
    const cut = this.table.numbers.cut ? ", texts that are shown in part left out" : "";
    byId("label-progress").textContent = `${plural(given.length - unsure, "label")}, ${unsure} not sure, of ${plural(this.queue.length, "row")}${cut}`;
    byId("save").disabled = !labeled.some(({ met, score }) => !met && score !== NOT_SURE);
    byId("save-verdicts").disabled = !labeled.some(({ met }) => met?.some(([, verdict]) => verdict !== NOT_SURE));
    byId("save-verdicts").hidden = !this.queue.some((at) => this.isChecklist(at)) && !labeled.some(({ met }) => met);
    byId("label-warning").textContent = this.warning(labeled);
    byId("label-item").replaceChildren(...(this.at === undefined ? [make("p", { class: "empty", text: "No row to label: change the filter, or make this page with report --rubric FILE if its log lacks the texts of criteria." })] : this.item()));
    byId("label-figures").replaceChildren(...(state.blind === "off" ? labelFigures(this, labeled) : []));
  }

  item() {
    const { table, labels, at, criterion: current } = this, shared = { table, labels, at, isBlind: state.blind !== "off" };
    const choices = this.criteria().length ? criterionChoices({ ...shared, current, give: (...given) => this.giveVerdict(...given) })
      : levelChoices({ ...shared, scores: this.scores(), give: (score) => this.give(score) });
    return [itemTexts(table, labels, at), choices];
  }

  warning(labeled) {
    if (!this.labels.isKept) return "This browser keeps nothing of a page from disk: save before you close it.";
    const unknown = [...new Set(labeled.filter(({ met }) => !met).map(({ at }) => this.table.category("rubric", at)))].filter((name) => !meta.rubrics[name]);
    return unknown.length ? `evaluate refuses labels by ${unknown.join(", ")}: make this page with report --rubric FILE, your labels stay` : "";
  }

  text(name, at) {
    return this.labels.text(name, at);
  }
}

// A number that looks random and is the same for a row each time.
const shuffled = (at) => (Math.imul(at + 1, 2654435761) >>> 0) ^ (Math.imul(at + 7, 40503) >>> 0);
