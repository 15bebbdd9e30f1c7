"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const judgments = read("judgments-data"), colors = read("colors-data");
  const byId = (id) => document.getElementById(id);
  const PAGE = 50, FAILED = "#d9534f";

  // --- small builders: text always goes in as text, never as HTML ---
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "style") element.style.cssText = value;
      else if (key === "text") element.textContent = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const tag = (name) => make("span", { class: "tag", style: `--dot: ${colors[name] || FAILED}`, text: name });
  const probs = (one) => Object.entries(one.probs || {}).sort((a, b) => a[0] - b[0]);
  const bars = (one) => {
    const label = probs(one).map(([score, prob]) => `${score}: ${Math.round(prob * 100)} %`).join(", ");
    const box = make("span", { class: "bars", title: label, role: "img", "aria-label": label || "no distribution" });
    for (const [, prob] of probs(one)) box.append(make("i", { style: `height: ${Math.max(2, prob * 100)}%` }));
    return box;
  };

  // --- columns and choices ---
  const has = (key) => judgments.some((one) => one[key] !== null && one[key] !== "" && one[key] !== undefined);
  const many = (key) => new Set(judgments.map((one) => one[key])).size > 1;
  const isTraining = has("reward");
  const columns = [
    { key: "row", name: isTraining ? "step" : "row", width: 70, show: (one) => String(one.row), number: true },
    { key: "side", name: "side", width: 100, show: (one) => tag(one.side), if: many("side") },
    { key: "expected_score", name: "score", width: 78, show: (one) => number(one.expected_score), number: true, if: has("expected_score") },
    { key: "probs", name: "spread", width: 88, show: bars, sort: (one) => one.entropy, if: has("probs") },
    { key: "entropy", name: "entropy", width: 88, show: (one) => number(one.entropy), number: true, if: has("entropy") },
    { key: "reward", name: "reward", width: 86, show: (one) => number(one.reward), number: true, if: isTraining },
    { key: "margin", name: "margin", width: 84, show: (one) => number(one.margin), number: true, if: has("margin") },
    { key: "agreement", name: "pair", width: 106, show: (one) => (one.agreement ? tag(one.agreement) : "–"), if: has("agreement") },
    { key: "rubric", name: "rubric", width: 130, text: true, show: (one) => one.rubric, if: many("rubric") },
    { key: "outcome", name: "outcome", width: 122, show: (one) => tag(one.outcome), if: judgments.some((one) => one.outcome !== "scored") },
    { key: "length", name: "length", width: 80, show: (one) => one.length.toLocaleString("en"), number: true },
    { key: "prompt", name: "prompt", text: true, show: (one) => one.prompt.slice(0, 240) },
    { key: "response", name: "response", text: true, show: (one) => one.response.slice(0, 240) },
  ].filter((column) => column.if !== false);

  const state = { sort: "row", down: false, page: 0, words: [], choices: {}, open: null };
  let shown = [];

  const haystacks = new Array(judgments.length);
  const haystack = (at) => {
    const one = judgments[at];
    return (haystacks[at] ??= `${one.prompt}\n${one.response}\n${one.feedback}\n${one.rubric}\n${one.group}`.toLowerCase());
  };
  const passes = (at) => Object.entries(state.choices).every(([key, value]) => !value || String(judgments[at][key]) === value)
    && state.words.every((word) => haystack(at).includes(word));

  const compare = (column) => {
    const value = column.sort || ((one) => one[column.key]);
    return (first, second) => {
      const one = value(judgments[first]), other = value(judgments[second]);
      const isEmpty = (one === null || one === undefined) - (other === null || other === undefined);
      if (isEmpty) return isEmpty; // rows without a value come last in either order
      const order = one === other ? 0 : typeof one === "string" ? one.localeCompare(other) : one - other;
      return (state.down ? -order : order) || first - second;
    };
  };
  const refresh = () => {
    shown = [];
    for (let at = 0; at < judgments.length; at += 1) if (passes(at)) shown.push(at);
    shown.sort(compare(columns.find((column) => column.key === state.sort)));
    state.page = Math.min(state.page, Math.max(0, Math.ceil(shown.length / PAGE) - 1));
    render();
  };

  // --- the table: a page of rows at a time ---
  const heads = byId("heads");
  for (const column of columns) {
    const button = make("button", { type: "button", text: column.name });
    const head = make("th", { scope: "col", "data-key": column.key, ...(column.width ? { style: `width: ${column.width}px` } : {}) }, button);
    if (column.number) head.classList.add("number");
    button.addEventListener("click", () => {
      state.down = state.sort === column.key ? !state.down : Boolean(column.number) && column.key !== "row";
      state.sort = column.key;
      state.page = 0;
      refresh();
    });
    heads.append(head);
  }

  const part = (title, text) => make("div", {}, make("h4", { text: title }), make("pre", { text: text || "–", tabindex: "0" }));
  const spread = (one) => {
    const box = make("div", { class: "spread" });
    for (const [score, prob] of probs(one)) {
      box.append(make("span", { text: score }), make("div", {}, make("i", { style: `width: ${prob * 100}%` })));
      box.append(make("span", { text: `${(prob * 100).toFixed(1)} %` }));
    }
    return make("div", {}, make("h4", { text: `Distribution over scores, entropy ${number(one.entropy)}` }), box);
  };
  const detail = (one) => {
    const parts = make("div", { class: "parts" }, part("Prompt", one.prompt), part(one.side === "response" ? "Response" : `Response (${one.side})`, one.response));
    if (one.feedback) parts.append(part("Feedback", one.feedback));
    if (one.probs) parts.append(spread(one));
    const facts = [one.rubric && `rubric ${one.rubric}`, one.group && `group ${one.group}`, `outcome ${one.outcome}`,
      `${one.length.toLocaleString("en")} characters`].filter(Boolean).join(" · ");
    const cell = make("td", { colspan: String(columns.length) }, parts, make("p", { class: "figures-of", text: facts }));
    const other = judgments.find((it) => it.row === one.row && it.side !== one.side && ["chosen", "rejected"].includes(one.side) && !isTraining);
    if (other) parts.insertBefore(part(`The other side (${other.side}, ${number(other.expected_score)})`, other.response), parts.children[2] || null);
    return make("tr", { class: "detail" }, cell);
  };
  const toggle = (row, at) => {
    const isOpen = row.getAttribute("aria-expanded") === "true";
    row.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) row.nextElementSibling.remove();
    else row.after(detail(judgments[at]));
  };
  const line = (at) => {
    const one = judgments[at];
    const row = make("tr", { class: "one", tabindex: "0", "aria-expanded": "false", "data-at": String(at) });
    for (const column of columns) {
      const content = column.show(one);
      const cell = make("td", {});
      if (column.number) cell.classList.add("number");
      if (column.text) {
        cell.classList.add("text");
        cell.append(make("div", { text: content || "(empty)" }));
      } else cell.append(content);
      row.append(cell);
    }
    row.addEventListener("click", () => { if (!String(getSelection())) toggle(row, at); });
    return row;
  };
  const render = () => {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    byId("rows").replaceChildren(...shown.slice(state.page * PAGE, (state.page + 1) * PAGE).map(line));
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${judgments.length.toLocaleString("en")}`;
    byId("page").textContent = `page ${state.page + 1} of ${pages}`;
    byId("previous").disabled = state.page === 0;
    byId("next").disabled = state.page >= pages - 1;
    for (const head of heads.children) {
      const isSorted = head.dataset.key === state.sort;
      head.setAttribute("aria-sort", isSorted ? (state.down ? "descending" : "ascending") : "none");
      const column = columns.find((it) => it.key === head.dataset.key);
      head.firstChild.textContent = column.name + (isSorted ? (state.down ? " ↓" : " ↑") : "");
    }
  };
  const turn = (step) => {
    state.page = Math.min(Math.max(0, state.page + step), Math.max(0, Math.ceil(shown.length / PAGE) - 1));
    render();
    byId("judgments").scrollIntoView();
  };
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));

  // --- filters ---
  for (const [key, name] of [["side", "side"], ["outcome", "outcome"], ["agreement", "pair"], ["group", "group"], ["rubric", "rubric"]]) {
    const values = [...new Set(judgments.map((one) => one[key]).filter((value) => value !== null && value !== ""))].map(String).sort();
    if (values.length < 2 || values.length > 200) continue;
    const select = make("select", { "data-key": key, "aria-label": name }, make("option", { value: "", text: `any ${name}` }));
    for (const value of values) select.append(make("option", { value, text: value }));
    select.addEventListener("change", () => { state.choices[key] = select.value; state.page = 0; refresh(); });
    byId("choices").append(select);
  }
  let timer = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      state.page = 0;
      refresh();
    }, 120);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => {
    Object.assign(state, { words: [], choices: {}, page: 0, sort: "row", down: false });
    refresh();
  });

  // --- the judgments to look at first ---
  const reason = (one) => {
    if (one.expected_score === null && one.margin === null) return [2000, `no score: ${one.outcome}`];
    if (one.agreement === "disagrees" && one.side === "rejected") return [1000 - one.margin, `prefers the rejected side by ${number(-one.margin)}`];
    if (one.agreement === "disagrees") return [-1, ""];
    return [one.entropy ?? -1, `entropy ${number(one.entropy)}`];
  };
  const kinds = [[], [], []];
  judgments.forEach((one, at) => {
    const [weight, why] = reason(one);
    if (weight >= 0) kinds[weight >= 2000 ? 0 : weight >= 1000 ? 1 : 2].push([weight, why, at]);
  });
  const seen = new Set();
  const isNew = ([, , at]) => {
    const text = `${judgments[at].prompt}\n${judgments[at].response}`;
    return !seen.has(text) && seen.add(text);
  };
  const chosen = kinds.flatMap((kind) => kind.sort((a, b) => b[0] - a[0] || a[2] - b[2]).filter(isNew).slice(0, 3));
  for (const [, why, at] of chosen) {
    const one = judgments[at];
    const card = make("button", { type: "button", class: "eye" },
      make("span", { class: "why" }, make("b", { text: why }), bars(one)),
      make("p", { text: one.prompt.slice(0, 200) }), make("p", { text: one.response.slice(0, 200) || "(empty response)" }));
    card.addEventListener("click", () => show(at));
    byId("eyes").append(card);
  }
  byId("look").hidden = chosen.length === 0;
  const show = (at) => {
    byId("filters").reset();
    state.page = Math.floor(Math.max(0, shown.indexOf(at)) / PAGE);
    render();
    const row = document.querySelector(`tr[data-at="${at}"]`);
    toggle(row, at);
    row.focus();
    row.scrollIntoView({ block: "center" });
  };

  // --- keys ---
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const active = document.activeElement;
    if (event.key === "Escape") { active.blur(); return; }
    if (["INPUT", "SELECT"].includes(active.tagName)) return;
    const rows = [...document.querySelectorAll("tr.one")], at = rows.indexOf(active);
    const actions = {
      "/": () => byId("search").focus(),
      j: () => rows[Math.min(at + 1, rows.length - 1)]?.focus(),
      k: () => rows[Math.max(at - 1, 0)]?.focus(),
      n: () => turn(1),
      p: () => turn(-1),
      Enter: () => { if (at >= 0) toggle(active, Number(active.dataset.at)); },
    };
    if (!actions[event.key] || (event.key === "Enter" && at < 0)) return;
    event.preventDefault();
    actions[event.key]();
  });

  refresh();
})();
