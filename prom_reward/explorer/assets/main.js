// The explorer: reads the page's data, then shows what its link asks for.

import { announce, byId, make, plural, whole } from "./views/dom.js";
import { GroupView } from "./views/group.js";
import { GroupList } from "./views/groups.js";
import { JudgmentTable } from "./views/judgments.js";
import { LabelView } from "./views/labeling.js";
import { listen } from "./keys.js";
import { unpack } from "./data/packing.js";
import { Labels } from "./data/labels.js";
import { Query } from "./data/query.js";
import { batches } from "./live.js";
import { meta } from "./meta.js";
import { go, link, onChange, start, state } from "./state.js";
import { Table, Texts } from "./data/table.js";

const stream = meta.is_live ? batches() : null;
const chunks = [...document.querySelectorAll(".texts-data")];
const fromPage = () => ({
  table: byId("table-data").textContent,
  counts: meta.chunks,
  sources: chunks.map((element) => async () => {
    const found = await unpack(element.textContent);
    element.remove(); // its memory is no longer needed
    return found;
  }),
});
const fromStream = (batch) => ({ ...batch, sources: batch.chunks.map((chunk) => () => unpack(chunk)) });
const first = stream ? fromStream((await stream.next()).value) : fromPage();
const table = new Table(await unpack(first.table));
const texts = new Texts(first.sources, first.counts);
const query = new Query(table, texts);
const parts = { table, texts, query, scale: meta.scale, isTraining: meta.is_training };
const labels = new Labels({ ...parts, rubrics: meta.rubrics, name: document.title });
const labeling = new LabelView({ ...parts, labels });
const groups = new GroupList(parts), group = new GroupView(parts), judgments = new JudgmentTable(parts);

let asked = null, found = null;
const ask = () => {
  const { find, where, sort, down, order } = state;
  const question = JSON.stringify([find, where, sort, down, order, find || where || sort ? texts.share : 1]);
  if (question === asked) return false;
  asked = question;
  found = query.run(state);
  return true;
};

const showToolbar = () => {
  for (const id of ["find", "where"]) if (byId(id).value !== state[id] && document.activeElement !== byId(id)) byId(id).value = state[id];
  byId("where").setAttribute("aria-invalid", String(Boolean(found.error)));
  byId("where-error").textContent = found.error;
  const share = texts.isComplete ? "" : ` · reading texts, ${Math.round(texts.share * 100)} %`;
  const total = state.view !== "groups" ? `${whole(found.rows.length)} of ${plural(table.size, "judgment")}` : `${whole(found.groups.length)} of ${plural(table.numGroups, "group")}`;
  byId("count").textContent = total + (state.find || state.where ? share : "");
  byId("clear").hidden = !(state.find || state.where);
};

const show = () => {
  const isNew = ask();
  document.body.dataset.view = state.view;
  document.body.dataset.group = state.group ? "open" : "";
  for (const tab of document.querySelectorAll("[data-tab]")) {
    tab.href = link({ view: tab.dataset.tab });
    if (tab.dataset.tab === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    byId(tab.dataset.tab).hidden = tab.dataset.tab !== state.view;
  }
  byId("toolbar").hidden = state.view === "overview";
  showToolbar();
  if (state.view === "groups") {
    if (isNew || groups.groups !== found.groups) groups.show(found);
    else groups.mark();
    if (!state.group && found.groups.length && matchMedia("(min-width: 901px)").matches) {
      go({ group: found.groups[0] + 1 }, { quiet: true });
      return;
    }
    group.show();
  } else if (state.view === "judgments") judgments.show(found);
  else if (state.view === "label") labeling.show(found);
};

let timer = 0;
for (const id of ["find", "where"]) {
  byId(id).addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => go({ [id]: byId(id).value }, { quiet: true }), 80);
  });
}
byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => {
  for (const id of ["find", "where"]) byId(id).value = "";
  go({ find: "", where: "" }, { quiet: true });
});
byId("columns").append(...[...query.columns.keys()].flatMap((name) => [make("code", { text: name }), " "]));
byId("help-open").addEventListener("click", () => byId("help").showModal());

listen({ groups, group, judgments, labeling });
onChange(show);
start();
document.documentElement.dataset.ready = "table";
await texts.loadAll((chunk) => {
  query.search.haystack(chunk);
  if (state.view === "groups") groups.list.refresh();
  else if (state.view === "judgments") judgments.list.refresh();
  showToolbar();
});
show(); // once more: what was asked for may stand in texts that were not there
announce("all texts can be searched");
document.documentElement.dataset.ready = "texts";

const showLive = () => {
  const step = table.number("step", table.size - 1);
  byId("live").textContent = `live, ${Number.isFinite(step) ? `step ${whole(step)}` : plural(table.size, "judgment")}: reload for the figures`;
};
if (stream) showLive();
for await (const batch of stream ?? []) {
  const firstText = texts.count;
  texts.append(await Promise.all(batch.chunks.map(unpack)));
  table.append(await unpack(batch.table), firstText);
  query.grow();
  asked = null;
  show();
  showLive();
}
