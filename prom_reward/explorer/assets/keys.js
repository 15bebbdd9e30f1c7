// Keys for everything that the pointer can do.

import { NOT_SURE } from "./data/labels.js";
import { byId } from "./views/dom.js";
import { go, state } from "./state.js";

export const listen = ({ groups, group, judgments, labeling }) => {
  const lists = { judgments, label: labeling };
  const list = () => lists[state.view] ?? groups;
  const actions = {
    o: () => go({ view: "overview" }),
    g: () => go({ view: "groups" }),
    t: () => go({ view: "judgments" }),
    l: () => go({ view: "label", at: "" }),
    "/": () => focusOn("find"),
    f: () => focusOn("where"),
    j: () => list().step(1),
    k: () => list().step(-1),
    d: () => group.toggleDifferences(),
    "?": () => byId("help").showModal(),
    Enter: () => state.view === "judgments" && judgments.open(),
    Escape: () => (state.view === "groups" && state.group ? go({ group: "", at: "" }) : history.length > 1 && state.view !== "overview" && go({ view: "overview" })),
  };
  const inLabels = {
    y: () => labeling.answer(true),
    n: () => labeling.answer(false),
    x: () => labeling.give(NOT_SURE),
    z: () => labeling.give(null),
    b: () => labeling.toggleBlind(),
    s: () => labeling.saveOpen(),
    ArrowDown: () => labeling.moveCriterion(1),
    ArrowUp: () => labeling.moveCriterion(-1),
  };
  const inGroups = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const inLists = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const active = document.activeElement;
    if (["INPUT", "SELECT", "TEXTAREA"].includes(active.tagName) && active.type !== "checkbox") {
      if (event.key === "Escape") active.blur();
      return;
    }
    let action = actions[event.key];
    const scrolls = event.key.startsWith("Arrow") && (!labeling.criteria().length || active.matches(".text, .scroll"));
    if (state.view === "label" && !scrolls) action = /^\d$/.test(event.key) ? () => labeling.give(Number(event.key)) : inLabels[event.key] ?? action;
    if (event.key === "Enter" && ["BUTTON", "A", "SUMMARY"].includes(active.tagName)) return;
    if (event.key in inLists && active.matches("#group-list, #judgment-table")) action = () => list().step(inLists[event.key]);
    else if (event.key in inGroups && state.view === "groups" && state.group && !active.matches(".text, .matrix")) action = () => group.move(...inGroups[event.key]);
    if (!action) return;
    event.preventDefault();
    action();
  });
};

const focusOn = (id) => {
  if (state.view === "overview") go({ view: "groups" });
  byId(id).focus();
  byId(id).select();
};
