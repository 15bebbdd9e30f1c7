// Small builders. Text always goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

export const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "text") element.textContent = value;
    else if (key === "style") element.style.cssText = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

export const decimals = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits).replace(/^-(?=[0.]+$)/, "") : "–");
export const signed = (value) => (Number.isFinite(value) ? `${value < -0.005 ? "−" : "+"}${Math.abs(value).toFixed(2)}` : "–");
export const whole = (value) => (Number.isFinite(value) ? value.toLocaleString("en") : "–");
export const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

// A distribution over scores as small bars; its numbers are read out and shown when the pointer rests on it.
export const bars = (probs, labels) => {
  if (!probs) return make("span", { class: "bars" });
  const told = labels.map((label, at) => `${label}: ${(probs[at] / 10).toFixed(probs[at] < 100 ? 1 : 0)} %`).join(", ");
  const columns = labels.map((_, at) => make("i", { style: `height: ${Math.max(6, probs[at] / 10)}%` }));
  return make("span", { class: "bars", role: "img", title: told, "aria-label": told }, ...columns);
};

export const announce = (text) => {
  byId("status").textContent = text;
};
