// How well the judge agrees with the labels of a person: a row for each rubric, and for each criterion of a checklist.

import { agreement, grouped, moreFor } from "../data/agreement.js";
import { NOT_SURE } from "../data/labels.js";
import { meta } from "../meta.js";
import { state } from "../state.js";
import { detailsOf } from "./details.js";
import { decimals, make, plural, whole } from "./dom.js";
import { plain } from "./texts.js";

const MAX_ROWS = 100;
const APART = "at most 1 apart"; // always so of a verdict

// Elements below the item that is labeled. `labeled` are the rows of `Labels.labeled`.
export const labelFigures = ({ table, labels, scale }, labeled) => {
  const rows = labeled.flatMap((row) => (row.met ? verdicts(table, labels, row) : scores(table, scale, row)));
  if (!rows.length) return [make("p", { class: "soft", text: "Agreement stands here after the first label." })];
  const parts = [...grouped(rows, ({ title }) => title).values()].sort((one, other) => other.length - one.length);
  const measures = parts.slice(0, MAX_ROWS).map((some) => [some, agreement(some)]);
  const wished = Number(state.width || 5) / 50; // points to either side
  const picked = rows.filter((row) => row.picked !== "random").length;
  return [
    make("h2", { text: "The judge beside these labels" }),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Agreement" }, make("table", { class: "results" },
      make("thead", {}, make("tr", {}, make("td", {}), ...["labels", ...measures[0][1].map(({ name }) => name), "labels to go"].map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...measures.map(([some, found]) => make("tr", {}, make("th", { scope: "row" }, ...plain(some[0].title)),
        ...[whole(some.length), ...found.map((one) => (one.name === APART && some[0].isVerdict ? "–" : shown(one))), togo(some, found[0], wished)].map((text) => make("td", { class: "number", text })))))),
    ),
    make("p", { class: "soft", text: note(parts, picked) }),
  ];
};

const shown = ({ value, low, high }) => `${decimals(value)}${Number.isFinite(low) ? ` (${decimals(low)} to ${decimals(high)})` : ""}`;
const togo = (some, same, wished) => (Number.isFinite(same.low) ? whole(moreFor(some.length, same, wished)) : "–");

const note = (parts, picked) => [
  "95 % intervals by a bootstrap over prompts. Same score: accuracy; good found: TPR; bad found: TNR. Good is a score over the middle of the scale, or a criterion that is met.",
  `Labels to go: until the interval of the same score is ± ${plural(state.width || 5, "point")} wide.`,
  parts.length > MAX_ROWS ? `${MAX_ROWS} of ${whole(parts.length)} rows.` : "",
  picked ? `${plural(picked, "label")} of rows that were picked as informative: on all rows the judge is likely better, so pick at random for figures.` : "",
].filter(Boolean).join(" ");

const scores = (table, scale, { at, score, picked }) => {
  const title = table.category("rubric", at), [low, high] = meta.rubrics[title]?.scale ?? scale;
  const judge = table.number("integer", at);
  return score === NOT_SURE || !Number.isFinite(judge) ? [] : [{ title, picked, person: score, judge, prompt: table.textIds.prompt[at], good: Math.floor((low + high) / 2) + 1 }];
};

const verdicts = (table, labels, { at, picked }) => {
  const { parts } = detailsOf(labels.text("details", at));
  return labels.criteria(at).flatMap((one) => {
    const met = labels.metOf(at, one), prob = parts.find((part) => part.name === one.name)?.value ?? NaN;
    return typeof met !== "boolean" || Number.isNaN(prob) ? [] : [{ title: one.text, isVerdict: true, picked, person: Number(met), judge: Number(prob >= meta.met), prompt: table.textIds.prompt[at], good: 1 }];
  });
};
