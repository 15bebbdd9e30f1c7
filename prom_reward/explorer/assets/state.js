// What is shown, kept in the link behind the `#`, so that a link leads to the same view.

const DEFAULTS = { view: "overview", find: "", where: "", sort: "", down: "", order: "", group: "", at: "", pick: "", blind: "", width: "" };

export const state = { ...DEFAULTS };
const listeners = [];

const read = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of Object.entries(DEFAULTS)) state[key] = given.get(key) ?? value;
  if (!document.querySelector(`[data-tab="${CSS.escape(state.view)}"]`)) state.view = DEFAULTS.view;
};

export const link = (changes) => {
  const kept = Object.entries({ ...state, ...changes }).filter(([key, value]) => String(value) !== DEFAULTS[key]);
  return `#${new URLSearchParams(kept)}`;
};

const changed = () => listeners.forEach((listen) => listen());

// Shows something else. `quiet` changes the link without a step in the browser's history, as while typing.
export const go = (changes, { quiet = false } = {}) => {
  const target = link(changes);
  if (target === (location.hash || "#")) return;
  history[quiet ? "replaceState" : "pushState"](null, "", target);
  read();
  changed();
};

export const onChange = (listen) => listeners.push(listen);

export const start = () => {
  read();
  addEventListener("popstate", () => { read(); changed(); });
  changed();
};
