// The response that is labeled, beside the choices: the levels of a rubric, or the criteria of a checklist.

import { NOT_SURE } from "../data/labels.js";
import { meta } from "../meta.js";
import { detailsOf } from "./details.js";
import { decimals, make } from "./dom.js";
import { nameOf } from "./groups.js";
import { plain, response } from "./texts.js";

const textBox = (title, content) => make("section", {}, make("h2", { text: title }), make("div", { class: "text", dir: "auto", tabindex: "0", role: "region", "aria-label": title }, ...content));

export const itemTexts = (table, labels, at) => {
  const reference = labels.text("reference", at);
  return make("div", { class: "label-texts" }, textBox(["Prompt", nameOf(table, at)].filter(Boolean).join(", "), plain(labels.text("prompt", at))),
    reference ? textBox("Reference answer", plain(reference)) : null, textBox("Response", response(labels.text("response", at)).content));
};

const choice = (key, text, isChosen, onclick) => make("button", { type: "button", class: "choice", "aria-pressed": String(isChosen), onclick }, make("kbd", { text: key }), make("span", {}, ...plain(text)));

// --- levels ---

// `scores` are those of the rubric, `give` labels the row.
export const levelChoices = ({ table, labels, at, scores, give, isBlind }) => {
  const name = table.category("rubric", at), rubric = meta.rubrics[name], given = labels.get(at)?.score;
  const key = (score) => (scores.length === 2 ? `${score} or ${score === scores[1] ? "y" : "n"}` : String(score));
  return make("div", { class: "label-choices" }, make("h2", { text: name }),
    make("p", { class: "soft" }, ...plain(rubric?.criteria ?? "The page does not know this rubric's text: name its file with `prom-reward report --rubric`.")),
    ...scores.map((score) => choice(key(score), rubric?.descriptions[score] ?? `score ${score}`, given === score, () => give(score))),
    choice("x", "not sure", given === NOT_SURE, () => give(NOT_SURE)), isBlind ? null : judged(table, labels, at));
};

const judged = (table, labels, at) => {
  const score = table.number("score", at);
  return make("div", { class: "judged" }, make("h2", { text: `The judge: ${Number.isFinite(score) ? score.toFixed(2) : table.category("outcome", at)}` }),
    make("div", { class: "text", dir: "auto" }, ...plain(labels.text("feedback", at) || "(no feedback)")));
};

// --- criteria ---

// `current` is the place of the criterion that keys are for, `give` labels one by its place.
export const criterionChoices = ({ table, labels, at, current, give, isBlind }) => {
  const { parts } = detailsOf(labels.text("details", at)), name = table.category("rubric", at);
  const items = labels.criteria(at).map((criterion, place) => {
    const met = labels.metOf(at, criterion), isCurrent = place === current;
    const own = parts.find((one) => one.name === criterion.name);
    return make("li", { class: isCurrent ? "current" : "", "aria-current": isCurrent ? "true" : null },
      make("p", { id: `criterion-${place}` }, ...plain(criterion.text)),
      make("div", { class: "verdicts", role: "group", "aria-labelledby": `criterion-${place}` },
        choice("y", "met", met === true, () => give(place, true)), choice("n", "not met", met === false, () => give(place, false)),
        choice("x", "not sure", met === NOT_SURE, () => give(place, NOT_SURE))),
      isBlind || !own ? null : make("p", { class: "judged soft" }, `The judge: P(met) ${decimals(own.value ?? NaN)} `, ...plain(own.feedback || own.error || "")));
  });
  const isKnown = Array.isArray(meta.rubrics[name]?.criteria);
  return make("div", { class: "label-choices" }, make("h2", { text: name }),
    isKnown ? null : make("p", { class: "soft", text: "Each is saved as a question of yes or no." }), make("ol", { class: "criteria" }, ...items));
};
