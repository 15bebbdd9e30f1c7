// What stands below a score: the criteria of a checklist, the judges that it is made of, the comparisons in its group.

import { decimals, make, signed } from "./dom.js";
import { plain } from "./texts.js";

const MAX_ROWS = 24; // responses in a table of comparisons; of larger groups only the open one has a row

// Reads what `prom_reward.explorer.details` writes.
export const detailsOf = (text) => {
  const { parts = [], judges = {}, standing = null } = text ? JSON.parse(text) : {};
  return { parts: parts.map(([name, weight, value, effect, source, feedback, error]) => ({ name, weight, value, effect, source, feedback, error })), judges, standing };
};

const number = (value) => value ?? NaN;

// --- criteria ---

// Rows of a matrix: one a criterion, `columns` are the details of each response.
export const criteriaRows = (columns) => {
  const criteria = new Map(columns.flatMap(({ parts }) => parts.map((part) => [part.name, part.weight])));
  return [...criteria].map(([name, weight]) => make("tr", { class: "criterion" },
    make("th", { scope: "row" }, ...plain(name.replaceAll("_", " ")), make("small", { text: weight < 0 ? ` pitfall ${weight}` : ` weight ${weight}` })),
    ...columns.map(({ parts }) => criterionCell(parts.find((part) => part.name === name)))));
};

const criterionCell = (part) => {
  if (!part) return make("td", {}, "");
  const isPitfall = part.weight < 0;
  return make("td", {}, make("span", { class: isPitfall ? "met pitfall" : "met", style: `--heat: ${Math.round(50 * (part.value ?? 0))}%` },
    make("b", { text: decimals(number(part.value)) }), part.source === "judge" ? null : make("small", { text: part.source })));
};

// The criteria of the open judgment, with what the judge wrote.
export const criteriaTable = ({ parts }) => (parts.length ? [make("h4", { text: "Criteria" }),
  scroll("Criteria", make("table", { class: "results" }, heads("criterion", "met", "weight", "effect", "decided by", "why"),
    make("tbody", {}, ...parts.map((part) => make("tr", {}, make("th", { scope: "row" }, ...plain(part.name)),
      figure(decimals(number(part.value))), figure(part.weight), figure(signed(number(part.effect))), make("td", { text: part.source }),
      make("td", { dir: "auto" }, ...plain(part.feedback || part.error || "")))))))]
  : null);

// --- judges ---

export const judgesTable = ({ judges }, givenBy) => {
  const said = Object.entries(judges), scores = said.map(([, score]) => score).filter((score) => score !== null);
  if (!said.length) return null;
  const apart = scores.length > 1 ? `, ${decimals(Math.max(...scores) - Math.min(...scores))} apart` : "";
  return make("div", {}, make("h4", { text: `Judges${apart}` }), make("dl", { class: "judges" }, ...said.flatMap(([name, score]) => [
    make("dt", {}, ...plain(name)), make("dd", { text: `${decimals(number(score))}${name === givenBy ? " · its score counts" : ""}` })])));
};

// --- comparisons ---

// "+0.31 ± 0.12": the score that a response has from its group's comparisons.
export const standingText = ({ standing }) => (standing ? `${signed(number(standing.score))} ± ${decimals(number(standing.error))}` : "");

// Who beats whom. `members` are [name, details, isOpen] of all responses.
export const comparisons = (members) => {
  const places = new Map(members.filter(([, { standing }]) => standing).map(([name, { standing }]) => [standing.place, name]));
  const met = members.filter(([, { standing }]) => standing?.meetings.length);
  const shown = met.length > MAX_ROWS ? met.filter(([, , isOpen]) => isOpen) : met;
  if (!shown.length) return null;
  const columns = [...new Set(shown.flatMap(([, { standing }]) => standing.meetings.map(([other]) => other)))].sort((one, other) => one - other);
  const nameOf = (place) => places.get(place) ?? "anchor";
  const rows = shown.map(([name, details, isOpen]) => make("tr", { class: isOpen ? "open" : "" },
    make("th", { scope: "row" }, name, make("small", { text: ` ${standingText(details)}` })),
    ...columns.map((place) => meetingCell(name, nameOf(place), details.standing.meetings.filter(([other]) => other === place)[0]))));
  return make("section", {}, make("h3", { text: "Comparisons" }),
    make("p", { class: "note", text: "How likely the row's response is better than the column's. In small type, if the verdict depends on it: shown first, shown second." }),
    scroll("Comparisons", make("table", { class: "versus" }, heads("", ...columns.map(nameOf)), make("tbody", {}, ...rows))),
    comparisonFeedback(met, nameOf));
};

// What the judge wrote on the open response's comparisons, whichever of the two has the text.
const comparisonFeedback = (met, nameOf) => {
  const open = met.find(([, , isOpen]) => isOpen)?.[0];
  const said = met.flatMap(([name, { standing }]) => standing.meetings.flatMap(([place, , , , ...texts]) => {
    const other = nameOf(place);
    return [name, other].includes(open) ? [[name, other], [other, name]].map((order, at) => [order, texts[at]]) : [];
  })).filter(([, text]) => text);
  return said.length ? make("details", { class: "folded met-feedback" }, make("summary", { text: `Feedback on the comparisons of ${open}` }),
    make("dl", { class: "judges" }, ...said.flatMap(([[first, second], text]) => [
      make("dt", { text: `${first}, then ${second}` }), make("dd", { dir: "auto" }, ...plain(text))]))) : null;
};

const meetingCell = (name, other, meeting) => {
  if (!meeting) return make("td", {}, "");
  const [, prob, first, second] = meeting.map(number);
  const told = `${name} over ${other}: ${decimals(prob)}; shown first ${decimals(first)}, shown second ${decimals(second)}`;
  if (Number.isNaN(prob)) return make("td", { title: told }, make("span", { class: "met failed", text: "failed" }));
  const isFlipped = (first - 0.5) * (second - 0.5) < 0;
  return make("td", { title: told }, make("span", { class: "met", style: `--heat: ${Math.round(50 * prob)}%` }, make("b", { text: decimals(prob) }),
    isFlipped ? make("small", { text: `${decimals(first)} / ${decimals(second)}` }) : null));
};

// --- parts of tables ---

const heads = (...names) => make("thead", {}, make("tr", {}, ...names.map((text) => (text ? make("th", { scope: "col", text }) : make("td", {})))));
const figure = (text) => make("td", { class: "number", text });
const scroll = (title, table) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table);
