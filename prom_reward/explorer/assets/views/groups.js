// The list of groups: a prompt's responses are one entry, with their rewards as dots on a line.

import { byId, decimals, make, plural } from "./dom.js";
import { ORDERS } from "../data/query.js";
import { go, state } from "../state.js";
import { preview } from "./texts.js";
import { VirtualList } from "./virtual.js";

const HEIGHT = 92;
const NEEDS = { change: "gap", miss: "miss", rise: "rise" }; // columns that an order is made of

export class GroupList {
  constructor({ table, texts, query, scale }) {
    Object.assign(this, { table, texts, query, range: query.value === "reward" ? rangeOf(table.numbers.reward) : scale });
    this.box = byId("group-list");
    this.list = new VirtualList({ scroller: this.box, body: byId("group-entries"), height: HEIGHT, draw: (index) => this.entry(index) });
    const choice = byId("order");
    for (const [value, [text]] of Object.entries(ORDERS)) if (!(value in NEEDS) || table.has(NEEDS[value])) choice.append(make("option", { value, text }));
    choice.addEventListener("change", () => go({ order: choice.value }, { quiet: true }));
    this.box.addEventListener("click", (event) => {
      const entry = event.target.closest("[data-group]");
      if (entry) go({ group: Number(entry.dataset.group) + 1, at: "" });
    });
  }

  show({ groups, matches }) {
    this.groups = groups;
    this.matches = matches;
    byId("order").value = state.order;
    this.list.show(groups.length);
    byId("group-none").hidden = groups.length > 0;
    this.mark();
  }

  // The place of the open group in the list; -1 if it is not in it.
  get place() {
    return this.groups.indexOf(Number(state.group) - 1);
  }

  mark() {
    this.list.refresh();
    const place = this.place;
    if (place >= 0) this.list.reveal(place);
    this.box.setAttribute("aria-activedescendant", place >= 0 ? `group-${this.groups[place]}` : "");
  }

  step(by) {
    if (!this.groups.length) return;
    const place = this.place < 0 ? (by > 0 ? 0 : this.groups.length - 1) : this.place + by;
    go({ group: this.groups[Math.min(Math.max(0, place), this.groups.length - 1)] + 1, at: "" }, { quiet: true });
  }

  entry(index) {
    const { table } = this, group = this.groups[index], first = table.groupStarts[group];
    const figures = this.query.figures[group];
    const found = this.matches.get(group), all = table.groupStarts[group + 1] - first;
    const flagged = table.rowsOf(group).some((at) => table.category("flag", at));
    const facts = [nameOf(table, first), plural(figures.size, "response"), found < all && `${found} of ${all} match`].filter(Boolean);
    return make("div", { class: "entry", role: "option", id: `group-${group}`, "data-group": group, "aria-selected": String(group + 1 === Number(state.group)),
      "aria-setsize": this.groups.length, "aria-posinset": index + 1 },
      make("p", { class: "prompt", dir: "auto", text: preview(this.texts.get(table.textIds.prompt[first]) ?? "…", 240) }),
      make("p", { class: "meta" }, make("span", { text: facts.join(" · ") }), flagged ? make("b", { class: "flag", text: "flagged" }) : null),
      make("div", { class: "meta" }, this.dots(group), make("span", { class: "number", text: `mean ${decimals(figures.mean)}` })));
  }

  dots(group) {
    const { table } = this, [low, high] = this.range, box = make("span", { class: "strip", "aria-hidden": "true" });
    const seen = new Set();
    for (const at of table.rowsOf(group)) {
      const value = table.number(this.query.value, at), name = table.category("response_name", at);
      if (Number.isNaN(value) || (this.query.value === "reward" && seen.has(name))) continue;
      seen.add(name);
      box.append(make("i", { style: `left: ${(100 * (value - low)) / (high - low || 1)}%` }));
    }
    return box;
  }
}

// "step 12", "row 12", or "" for a call that no trainer made.
export const nameOf = (table, at) => ["step", "row"].filter((name) => Number.isFinite(table.number(name, at)))
  .map((name) => `${name} ${table.number(name, at)}`).join("");

const rangeOf = (values) => {
  let low = 0, high = 1;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};
