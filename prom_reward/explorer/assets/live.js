// The judgments of a training that runs, as `prom-reward watch` sends them: one event for each batch of finished steps.

import { byId } from "./views/dom.js";

export const batches = async function* () {
  const waiting = [];
  let wake = () => {};
  const source = new EventSource("events");
  byId("live").textContent = "waiting for judgments";
  source.addEventListener("message", (event) => { waiting.push(JSON.parse(event.data)); wake(); });
  source.addEventListener("error", () => {
    source.close(); // a new connection would send everything again
    byId("live").textContent = "no longer live: reload";
  });
  for (;;) {
    while (waiting.length) yield waiting.shift();
    await new Promise((done) => { wake = done; });
  }
};
