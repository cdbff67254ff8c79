// Ways of voting: how far each is counted, and its votes in a table; and who has voted so far. page_ways.py has written the
// same into the page.
import { $, bar, counted, el, fill, number, percent, t } from "./words.js";

export function voted(root) {
  const value = root.voted;
  if (value === null) return [];
  const { counted: done, annulled, expected } = root.stations;
  const when = done + annulled === expected ? "voted.counted" : "voted";
  const title = el("dt", {}, t(when, { stations: counted("stations", value.stations) }));
  if (value.percent === null) return [el("div", {}, title, el("dd", {}, el("strong", {}, number(value.done))))];
  const of = t("of", { done: number(value.done), of: number(value.of) });
  return [el("div", {}, title, measured(value.percent, of))];
}

const measured = (value, of) =>
  el("dd", {}, el("strong", {}, `${percent(value)} %`), " ", el("span", {}, of), bar(value));

export function drawWays(root) {
  const shown = (root.channels ?? []).filter((channel) => channel.stations.expected > 0);
  $("ways-section").hidden = shown.length === 0;
  if (!shown.length) {
    for (const id of ["ways", "ways-head", "ways-votes"]) fill($(id), []);
    return;
  }
  const measures = shown.map(({ channel, stations }) => {
    const done = stations.counted + stations.annulled;
    const of = t("of", { done: number(done), of: counted("stations", stations.expected) });
    return el("div", {}, el("dt", {}, el("bdi", {}, channel)), measured(share(done, stations.expected, root.rounding), of));
  });
  fill($("ways"), [el("h3", {}, t("ways")), el("dl", { class: "measures" }, ...measures)]);
  const cells = (figureOf) => shown.map((channel) => el("td", { class: "n" }, number(figureOf(channel))));
  const row = (kind, name, figureOf) => el("tr", { class: kind }, el("th", { scope: "row" }, el("bdi", {}, name)), ...cells(figureOf));
  fill($("ways-head"), [el("tr", {}, el("th", { scope: "col" }, t("candidate")),
    ...shown.map(({ channel }) => el("th", { scope: "col", class: "n" }, el("bdi", {}, channel))))]);
  fill($("ways-votes"), [
    ...root.candidates.map((c) => row(null, c.name, (channel) => channel.votes[c.id])),
    ...["cast", "valid"].map((name) => row("sum", t(`ways.${name}`), (channel) => channel.ballots[name])),
  ]);
}

// As the board rounds progress: below 100 while anything is missing. Whole numbers, for more stations than a double can tell.
function share(done, of, { method, places }) {
  const scale = 10n ** BigInt(places), whole = BigInt(of), scaled = BigInt(done) * 100n * scale;
  let units = method === "truncate" ? scaled / whole : (2n * scaled + whole) / (2n * whole);
  if (done < of && units >= 100n * scale) units = 100n * scale - 1n;
  if (places === 0) return String(units);
  const text = String(units).padStart(places + 1, "0");
  return `${text.slice(0, -places)}.${text.slice(-places)}`;
}
