// The flat table: one row a judgment, any number of them, sorted by any column.

import { bars, byId, decimals, make, signed, whole } from "./dom.js";
import { go, state } from "../state.js";
import { preview } from "./texts.js";
import { VirtualList } from "./virtual.js";

const HEIGHT = 36;

const COLUMNS = (table, texts) => [
  ["step", 56, (at) => whole(table.number("step", at))],
  ["row", 64, (at) => whole(table.number("row", at))],
  ["group", 66, (at) => whole(table.number("group", at))],
  ["response_name", 86, (at) => table.category("response_name", at), "response"],
  ["rubric", 130],
  ["score", 76, (at) => decimals(table.number("score", at))],
  ["label", 70, (at) => decimals(table.number("label", at))],
  ["error", 76, (at) => signed(table.number("error", at))],
  ["rise", 76, (at) => signed(table.number("rise", at))],
  ["other", 76, (at) => decimals(table.number("other", at))],
  ["shift", 76, (at) => signed(table.number("shift", at))],
  ["change", 80, (at) => signed(table.number("change", at))],
  ["entropy", 104, (at) => make("span", { class: "spread-cell" }, bars(table.probs[at], table.labels), decimals(table.number("entropy", at))), "spread"],
  ["reward", 74, (at) => decimals(table.number("reward", at), 3)],
  ["advantage", 96, (at) => signed(table.number("advantage", at))],
  ["group_score", 92, (at) => signed(table.number("group_score", at)), "in group"],
  ["standard_error", 76, (at) => decimals(table.number("standard_error", at)), "± error"],
  ["given_by", 100, null, "given by"],
  ["disagreement", 82, (at) => decimals(table.number("disagreement", at)), "apart"],
  ["margin", 80, (at) => signed(table.number("margin", at))],
  ["pair", 96],
  ["length", 72, (at) => whole(table.number("length", at))],
  ["flag", 100],
  ["outcome", 94],
  ["part", 110],
  ["prompt", 240],
  ["response", 240, (at) => preview(texts.get(table.textIds.response[at]) ?? "…", 160), "text"],
].filter(([name]) => table.has(name) && (!["outcome", "rubric"].includes(name) || table.categories[name].names.length > 1));

export class JudgmentTable {
  constructor({ table, texts }) {
    Object.assign(this, { table, texts, rows: [], at: 0 });
    this.box = byId("judgment-table");
    this.columns = COLUMNS(table, texts);
    const widths = this.columns.map(([name, width]) => (["prompt", "response"].includes(name) ? `minmax(${width}px, 1fr)` : `${width}px`));
    this.box.style.setProperty("--widths", widths.join(" "));
    this.box.style.setProperty("--least", `${this.columns.reduce((sum, [, width]) => sum + width, 0)}px`);
    this.box.setAttribute("aria-colcount", this.columns.length);
    byId("judgment-heads").append(...this.columns.map(([name, , , title]) => make("div", { role: "columnheader", "data-name": name, class: name in table.numbers ? "number" : "" },
      make("button", { type: "button", tabindex: "-1", text: title ?? name, onclick: () => this.sort(name) }))));
    this.list = new VirtualList({ scroller: this.box, body: byId("judgment-rows"), height: HEIGHT, draw: (index) => this.row(index) });
    byId("judgment-rows").addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.open(Number(row.dataset.index));
    });
  }

  // The first click sorts numbers from high to low and names from A on, the second the other way, the third not at all.
  sort(name) {
    const first = name in this.table.numbers && !["step", "row", "group"].includes(name) ? "1" : "";
    if (state.sort !== name) go({ sort: name, down: first }, { quiet: true });
    else if (state.down === first) go({ down: first ? "" : "1" }, { quiet: true });
    else go({ sort: "", down: "" }, { quiet: true });
  }

  show({ rows }) {
    this.rows = rows;
    this.at = Math.min(this.at, Math.max(0, rows.length - 1));
    this.box.setAttribute("aria-rowcount", rows.length + 1);
    for (const head of byId("judgment-heads").children) {
      const isSorted = head.dataset.name === state.sort;
      head.setAttribute("aria-sort", isSorted ? (state.down ? "descending" : "ascending") : "none");
    }
    this.list.show(rows.length);
    this.mark();
  }

  mark() {
    this.list.refresh();
    if (this.rows.length) this.box.setAttribute("aria-activedescendant", `judgment-${this.at}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  step(by) {
    this.at = Math.min(Math.max(0, this.at + by), Math.max(0, this.rows.length - 1));
    this.list.reveal(this.at);
    this.mark();
  }

  open(index = this.at) {
    if (!this.rows.length) return;
    this.at = index;
    const row = this.rows[index];
    go({ view: "groups", group: this.table.numbers.group[row], at: row + 1 });
  }

  row(index) {
    const at = this.rows[index];
    const cells = this.columns.map(([name, , show]) => make("div", { role: "gridcell", class: name in this.table.numbers ? "number" : "", dir: name in this.table.textIds ? "auto" : null }, show ? show(at) : this.plain(name, at)));
    return make("div", { role: "row", class: "row", id: `judgment-${index}`, "data-index": index, "aria-rowindex": index + 2, "aria-selected": String(index === this.at) }, ...cells);
  }

  plain(name, at) {
    if (name in this.table.textIds) return preview(this.texts.get(this.table.textIds[name][at]) ?? "…", 160);
    return this.table.category(name, at);
  }
}
