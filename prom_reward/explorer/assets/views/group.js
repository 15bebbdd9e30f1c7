// One group: responses in columns, rubrics in rows, each cell a score with its distribution; then the texts.

import { bars, byId, decimals, make, plural, signed, whole } from "./dom.js";
import { comparisons, criteriaRows, criteriaTable, detailsOf, judgesTable, standingText } from "./details.js";
import { nameOf } from "./groups.js";
import { go, link, state } from "../state.js";
import { meta } from "../meta.js";
import { fold, plain, response } from "./texts.js";

export class GroupView {
  constructor({ table, texts, scale, isTraining }) {
    Object.assign(this, { table, texts, scale, isTraining, marksDifferences: true });
    this.box = byId("group");
    this.box.addEventListener("click", (event) => {
      const cell = event.target.closest("[data-at]");
      if (cell) go({ at: Number(cell.dataset.at) + 1 }, { quiet: true });
    });
  }

  async show() {
    const group = Number(state.group) - 1;
    if (!(group >= 0 && group < this.table.numGroups)) {
      this.shown = null;
      this.box.replaceChildren(make("p", { class: "empty", text: "Choose a group: its responses stand here side by side." }));
      return;
    }
    const rows = this.table.rowsOf(group);
    await this.texts.need(rows.flatMap((at) => Object.values(this.table.textIds).map((ids) => ids[at])));
    if (group !== Number(state.group) - 1) return; // another one was chosen meanwhile
    const isSame = this.shown === group;
    this.shown = group;
    this.members = this.table.membersOf(group);
    this.rubrics = [...new Set(rows.map((at) => this.table.category("rubric", at)))];
    this.open = rows.includes(Number(state.at) - 1) ? Number(state.at) - 1 : rows[0];
    const place = [this.box.scrollTop, this.box.querySelector(".responses")?.scrollLeft ?? 0];
    const focused = this.box.contains(document.activeElement) && document.activeElement.dataset.at;
    this.details = new Map(rows.map((at) => [at, detailsOf(this.text("details", at))]));
    this.box.replaceChildren(...[this.heading(rows[0]), this.matrix(), this.judgment(this.open), this.comparisons(), this.responses()].filter(Boolean));
    this.box.scrollTop = isSame ? place[0] : 0;
    if (isSame) this.box.querySelector(".responses").scrollLeft = place[1];
    if (focused) this.box.querySelector(`.cell[data-at="${this.open}"]`)?.focus();
  }

  text(name, at) {
    return this.texts.get(this.table.textIds[name][at]) ?? "";
  }

  heading(at) {
    const { table } = this, part = table.category("part", at), seen = table.number("seen", at), pair = table.category("pair", at);
    const facts = [plural(table.number("size", at), "response"), part, pair && `the judge ${pair === "tie" ? "ties" : pair}`,
      ...this.shifts(), Number.isFinite(table.number("margin", at)) && `margin ${signed(table.number("margin", at))}`].filter(Boolean).join(" · ");
    const repeats = seen > 1 ? make("a", { href: link({ view: "groups", find: "", where: `prompt == ${quoted(this.text("prompt", at))}` }), text: `this prompt stands in ${whole(seen)} groups` }) : null;
    const words = this.text("prompt", at);
    const shown = make("div", { class: "text prompt-text", dir: "auto", tabindex: "0", role: "region", "aria-label": "Prompt" }, ...plain(words));
    return make("div", { class: "group-head" },
      make("button", { type: "button", class: "back", text: "‹ Groups", onclick: () => go({ group: "", at: "" }) }),
      make("h2", { text: capital([nameOf(table, at), `group ${table.numbers.group[at]}`].filter(Boolean).join(", ")) }),
      make("p", { class: "soft" }, facts, repeats ? " · " : "", repeats), shown, this.reference(at));
  }

  // How far the second side lies from the first, by rubric.
  shifts() {
    const rows = this.table.rowsOf(this.shown);
    return this.rubrics.map((rubric) => [rubric, rows.find((at) => this.table.category("rubric", at) === rubric)])
      .filter(([, at]) => Number.isFinite(this.table.number("shift", at))).map(([rubric, at]) => `${rubric}: B ${signed(this.table.number("shift", at))} to A`);
  }

  reference(at) {
    const words = this.text("reference", at);
    return words ? make("div", { class: "text" }, fold("reference answer", words)) : null;
  }

  // --- the matrix ---

  matrix() {
    const { table, members } = this;
    const head = make("tr", {}, make("td", {}), ...members.map((member) => make("th", { scope: "col", class: this.isOpen(member) ? "open" : "" }, this.memberName(member))));
    const body = this.rubrics.flatMap((rubric) => [
      make("tr", {}, make("th", { scope: "row", text: rubric }), ...members.map((member) => this.cell(member, rubric))),
      ...this.standings(rubric), ...this.below(rubric, "label", "label", decimals), ...this.below(rubric, "error", "score − label", signed),
      ...this.below(rubric, "rise", "rise", signed), ...criteriaRows(this.column(rubric).map(([, details]) => details))]);
    const line = (name, title, show) => (members.some((member) => Number.isFinite(table.number(name, member.first)))
      ? [make("tr", { class: "figures-row" }, make("th", { scope: "row", text: title }), ...members.map((member) => make("td", {}, show(table.number(name, member.first)))))] : []);
    const largest = Math.max(1e-9, ...members.map((member) => Math.abs(table.number("advantage", member.first)) || 0));
    return make("div", { class: "matrix", role: "region", tabindex: "0", "aria-label": "Scores by response and rubric" }, make("table", {},
      make("thead", {}, head),
      make("tbody", {}, ...body,
        ...line("reward", this.isTraining ? "reward" : "score, 0 to 1", (value) => decimals(value, 3)),
        ...line("advantage", "step" in table.numbers ? "advantage" : "against the mean", (value) => make("span", { class: "advantage" }, make("span", { text: signed(value) }),
          make("i", { class: value < 0 ? "below" : "above", style: `--size: ${(50 * Math.abs(value || 0)) / largest}%` }))),
        ...line("length", "characters", (value) => whole(value)))));
  }

  // [name, details, isOpen] of every response under a rubric.
  column(rubric) {
    return this.members.map((member) => [this.memberName(member), this.details.get(member.rows.get(rubric)) ?? detailsOf(""), this.isOpen(member)]);
  }

  standings(rubric) {
    const texts = this.column(rubric).map(([, details]) => standingText(details));
    return texts.some(Boolean) ? [make("tr", { class: "figures-row" }, make("th", { scope: "row", text: "in the group" }), ...texts.map((text) => make("td", { text })))] : [];
  }

  // A row of figures of a rubric's judgments.
  below(rubric, name, title, show) {
    const values = this.members.map((member) => (member.rows.has(rubric) ? this.table.number(name, member.rows.get(rubric)) : NaN));
    return values.some(Number.isFinite) ? [make("tr", { class: "figures-row" }, make("th", { scope: "row", text: title }), ...values.map((value) => make("td", { text: show(value) })))] : [];
  }

  // Of the open response's own group: two sides that stand beside each other were not compared.
  comparisons() {
    const side = this.table.category("source", this.open), column = this.column(this.table.category("rubric", this.open));
    return comparisons(column.filter((_, at) => this.table.category("source", this.members[at].first) === side));
  }

  memberName(member) {
    return /^\d/.test(member.name) ? `#${member.name}` : member.name || "response";
  }

  isOpen(member) {
    return [...member.rows.values()].includes(this.open);
  }

  cell(member, rubric) {
    const { table } = this, at = member.rows.get(rubric);
    if (at === undefined) return make("td", {}, "");
    const score = table.number("score", at), [low, high] = this.details.get(at).parts.length ? [0, 1] : this.scale;
    const heat = Number.isFinite(score) ? Math.round((50 * (score - low)) / (high - low || 1)) : 0;
    const flag = table.category("flag", at), outcome = table.category("outcome", at);
    const told = `${rubric}, ${this.memberName(member)}: ${Number.isFinite(score) ? score.toFixed(2) : outcome.replace("_", " ")}${this.change(at) ? ` ${this.change(at).textContent}` : ""}${flag ? `, flagged ${flag}` : ""}`;
    return make("td", {}, make("button", { type: "button", class: `cell${at === this.open ? " open" : ""}`, "data-at": at, style: `--heat: ${heat}%`, "aria-label": told, "aria-pressed": String(at === this.open) },
      make("b", { text: Number.isFinite(score) ? score.toFixed(2) : outcome.replace("_", " "), class: Number.isFinite(score) ? "" : "unscored" }), bars(table.probs[at], table.labels),
      flag ? make("span", { class: "flag", text: "⚑", title: flag }) : null, this.change(at)));
  }

  // How far a second source's score lies from the first.
  change(at) {
    const change = this.table.number("change", at);
    return Number.isFinite(change) ? make("span", { class: Math.abs(change) >= 1 ? "change-mark large" : "change-mark", text: signed(change) }) : null;
  }

  // --- the open judgment ---

  judgment(at) {
    const { table } = this, probs = table.probs[at], flag = table.category("flag", at);
    const integer = table.number("integer", at), entropy = table.number("entropy", at);
    const facts = [Number.isFinite(integer) && `integer ${whole(integer)}`, Number.isFinite(entropy) && `entropy ${decimals(entropy)}`, table.category("outcome", at), table.category("judge", at), this.tokens(at)].filter(Boolean);
    const spread = probs && make("div", { class: "spread" }, ...table.labels.flatMap((label, place) => [
      make("span", { text: label }), make("div", {}, make("i", { style: `width: ${probs[place] / 10}%` })), make("span", { text: `${(probs[place] / 10).toFixed(1)} %` })]));
    const member = this.members.find((one) => this.isOpen(one));
    return make("section", { class: "judgment", "aria-live": "polite" },
      make("h3", {}, `${table.category("rubric", at)}, ${this.memberName(member)}: ${decimals(table.number("score", at))}`, flag ? make("span", { class: "flag", text: ` ⚑ ${flag}` }) : null),
      make("div", { class: "parts" },
        make("div", {}, ...(criteriaTable(this.details.get(at)) ?? [make("h4", { text: "Feedback" }),
          make("div", { class: "text", dir: "auto" }, ...plain(this.text("feedback", at) || "(the judge wrote none)"))]), this.other(at)),
        make("div", {}, make("h4", { text: facts.join(" · ") }), spread, this.rubricText(at), judgesTable(this.details.get(at), table.category("given_by", at)))));
  }

  tokens(at) {
    const [read, computed, written] = ["read", "computed", "written"].map((name) => this.table.number(name, at));
    return Number.isFinite(read) && `tokens: ${whole(read)} read, ${whole(computed)} computed, ${whole(written)} written`;
  }

  rubricText(at) {
    const rubric = meta.rubrics[this.table.category("rubric", at)];
    if (!rubric) return null;
    const levels = Object.entries(rubric.descriptions ?? {}).map(([label, text]) => `${label}: ${text}`);
    const criteria = Array.isArray(rubric.criteria) ? rubric.criteria.map(({ name, text }) => `${name}: ${text}`) : [rubric.criteria];
    return make("div", { class: "text" }, fold("rubric", [...criteria, ...levels].join("\n")));
  }

  other(at) {
    const { table } = this, score = table.number("other", at), words = this.text("other_feedback", at);
    if (!Number.isFinite(score) && !words) return null;
    return make("div", {}, make("h4", { text: `The other source: ${decimals(score)} (${signed(table.number("change", at))})` }),
      make("div", { class: "text", dir: "auto" }, ...plain(words || "(it wrote no feedback)")));
  }

  // --- the responses ---

  responses() {
    const { table, members } = this;
    const base = this.marksDifferences && members.length > 1 ? this.base() : null;
    const toggle = members.length > 1 && make("label", { class: "toggle" }, make("input", { type: "checkbox", id: "differences", ...(this.marksDifferences ? { checked: true } : {}), onchange: () => this.toggleDifferences() }),
      ` mark what ${this.memberName(this.base())} does not have`);
    const cards = members.map((member) => {
      const { content, note } = response(this.text("response", member.first), base && base !== member ? this.text("response", base.first) : null);
      const reward = table.number("reward", member.first);
      const facts = [Number.isFinite(reward) && decimals(reward, 3), plural(table.number("length", member.first), "character"), note].filter(Boolean).join(" · ");
      const at = member.rows.get(table.category("rubric", this.open)) ?? member.first;
      return make("li", { class: this.isOpen(member) ? "open" : "" },
        make("h4", {}, make("button", { type: "button", class: "plain", "data-at": at, text: this.memberName(member) }), make("span", { class: "soft", text: ` ${facts}` })),
        make("div", { class: "text", dir: "auto", tabindex: "0", role: "region", "aria-label": `Response ${this.memberName(member)}` }, ...content));
    });
    return make("section", {}, make("div", { class: "bar" }, make("h3", { text: plural(members.length, "response") }), toggle || null),
      make("ol", { class: "responses", style: `--columns: ${members.length}` }, ...cards));
  }

  // The response that others are compared with: the chosen one of a pair, the weak one of an attack, else the best.
  base() {
    const value = (member) => this.table.number("reward", member.first) || this.table.number("score", member.first) || 0;
    const first = this.members.filter((member) => this.table.category("source", member.first) === "A");
    return this.members.find((member) => ["chosen", "weak"].includes(member.name))
      ?? (first.length ? first : this.members).reduce((best, one) => (value(one) > value(best) ? one : best));
  }

  toggleDifferences() {
    this.marksDifferences = !this.marksDifferences;
    this.show();
  }

  // Opens the judgment beside the open one: of another response, or of another rubric.
  move(across, down) {
    if (this.shown === null || !this.members) return;
    const column = this.members.findIndex((one) => this.isOpen(one)), row = this.rubrics.indexOf(this.table.category("rubric", this.open));
    const member = this.members[Math.min(Math.max(0, column + across), this.members.length - 1)];
    const rubric = this.rubrics[Math.min(Math.max(0, row + down), this.rubrics.length - 1)];
    const at = member.rows.get(rubric) ?? member.first;
    if (at !== this.open) go({ at: at + 1 }, { quiet: true });
  }
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const quoted = (text) => (text.includes('"') ? `'${text.replaceAll("'", "")}'` : `"${text}"`);
