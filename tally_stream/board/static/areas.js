// Areas as a table that can be sorted and searched, each a door to the areas and polling stations below it.
import { $, el, fill, number, percent, t, time } from "./words.js";

const COLUMNS = [
  { key: "area", kind: "text" }, { key: "area.stations", kind: "n" }, { key: "area.leader", kind: "text" },
  { key: "area.share", kind: "n" }, { key: "area.lead", kind: "n" }, { key: "area.valid", kind: "n" },
  { key: "area.outstanding", kind: "n" },
];
const STATIONS_A_PAGE = 200;

let election = null;
let contest = null;
let place = null;
let found = null;
let sorted = { column: 0, down: false };
let stations = [];
let hasMore = false;

export function startAreas(ofContest, ofElection) {
  contest = ofContest;
  election = ofElection;
  place = placeOf(location.hash);
  window.addEventListener("hashchange", () => {
    place = placeOf(location.hash);
    stations = [];
    $("search").value = "";
    askAreas();
  });
  $("search").addEventListener("input", drawTables);
  $("stations-more").addEventListener("click", () => askStations(true));
}

function placeOf(hash) {
  try {
    const text = decodeURIComponent(hash.slice(1));
    return text.startsWith("area=") ? text.slice(5) : election.root;
  } catch {
    return election.root; // an address somebody cut short
  }
}

export async function askAreas() {
  const path = place === election.root ? "" : `/${place.split("/").slice(1).map(encodeURIComponent).join("/")}`;
  const base = `/api/v1/areas/${encodeURIComponent(contest.id)}`;
  const answer = await fetch(path ? `${base}/${encodeURIComponent(election.root)}${path}` : base);
  if (!answer.ok) return;
  found = await answer.json();
  $("areas-section").hidden = false;
  drawTrail();
  if (!found.areas.length) await askStations(false);
  else stations = [];
  drawTables();
}

function drawTrail() {
  fill($("trail"), found.trail.map((step, n) => el("li", {}, n === found.trail.length - 1
    ? el("span", { "aria-current": "true" }, el("bdi", {}, step.name))
    : el("a", { href: `#area=${encodeURIComponent(step.area)}` }, el("bdi", {}, step.name)))));
}

function rowOf(entry) {
  const s = entry.standings;
  const [first, second] = s ? s.candidates : [];
  const isOpen = s && first.votes > 0;
  return {
    area: entry.area, name: entry.name,
    values: [
      entry.name, s ? Number(s.progress.stations?.percent ?? -1) : -1, isOpen ? first.name : "",
      isOpen && first.share !== null ? Number(first.share) : -1, isOpen ? first.votes - (second?.votes ?? 0) : -1,
      s?.ballots.valid ?? -1, s?.stations.outstanding ?? -1,
    ],
    texts: [
      entry.name,
      s?.progress.stations ? `${number(s.progress.stations.done)} / ${number(s.progress.stations.of)}` : "–",
      isOpen ? first.name : "–", isOpen ? percent(first.share) : "–",
      isOpen ? number(first.votes - (second?.votes ?? 0)) : "–", number(s?.ballots.valid), number(s?.stations.outstanding),
    ],
  };
}

function drawTables() {
  const wanted = $("search").value.trim().toLocaleLowerCase();
  const matches = (text) => text.toLocaleLowerCase().includes(wanted);
  const areas = found.areas.map(rowOf).filter((row) => matches(row.name) || matches(row.area));
  const shown = stations.filter((s) => matches(s.station) || matches(s.name));
  $("areas-box").hidden = !found.areas.length;
  $("stations-box").hidden = !stations.length;
  drawAreas(areas);
  drawStations(shown);
  $("found").textContent = wanted ? t("areas.found", { n: number(areas.length + shown.length) }) : "";
}

function drawAreas(rows) {
  const at = sorted.column;
  rows.sort((a, b) => {
    const [x, y] = [a.values[at], b.values[at]];
    const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return sorted.down ? -order : order;
  });
  fill($("areas-head"), [el("tr", {}, ...COLUMNS.map(({ key }, n) => el("th", {
    scope: "col", class: COLUMNS[n].kind === "n" ? "n" : null,
    "aria-sort": n === at ? (sorted.down ? "descending" : "ascending") : null,
  }, el("button", { type: "button", "data-column": n, title: t("sort", { column: t(key) }) }, t(key)))))]);
  $("areas-head").onclick = (event) => {
    const column = event.target.closest("button")?.dataset.column;
    if (column === undefined) return;
    const n = Number(column);
    sorted = { column: n, down: sorted.column === n ? !sorted.down : COLUMNS[n].kind === "n" };
    drawTables();
    $("areas-head").querySelector(`[data-column="${n}"]`).focus();
  };
  fill($("areas"), rows.map((row) => el("tr", { "data-key": row.area }, ...row.texts.map((text, n) => (n === 0
    ? el("th", { scope: "row" }, el("a", { href: `#area=${encodeURIComponent(row.area)}` }, el("bdi", {}, text)))
    : el("td", { class: COLUMNS[n].kind === "n" ? "n" : null }, el("bdi", {}, text)))))));
}

// -- stations ---------------------------------------------------------------------------------------------------------

async function askStations(isMore) {
  const after = isMore ? stations.at(-1)?.station ?? "" : "";
  const query = new URLSearchParams({ contest: contest.id, area: place, limit: String(STATIONS_A_PAGE), after });
  const answer = await fetch(`/api/v1/stations?${query}`);
  const content = await answer.json();
  $("stations-wait").textContent = "";
  if (!answer.ok) {
    $("stations-wait").textContent = "read" in content
      ? t("stations.wait", { read: number(content.read), of: number(content.of) }) : t("stations.failed");
    if (answer.status === 503) setTimeout(askAreas, 3000);
    return;
  }
  const kept = new Map((isMore ? stations : []).map((s) => [s.station, s]));
  for (const one of content.stations) kept.set(one.station, one);
  stations = [...kept.values()];
  hasMore = content.has_more;
  if (isMore) drawTables();
}

function drawStations(rows) {
  $("stations-more").hidden = !hasMore || !stations.length;
  fill($("stations-head"), [el("tr", {},
    el("th", { scope: "col" }, t("station")), el("th", { scope: "col" }, t("station.state")),
    el("th", { scope: "col", class: "n" }, t("station.revision")), el("th", { scope: "col", class: "n" }, t("station.valid")),
    ...contest.candidates.map((c) => el("th", { scope: "col", class: "n" }, el("bdi", {}, c.name))))]);
  fill($("stations"), rows.map((s) => {
    const counts = s.in_force;
    return el("tr", { "data-key": s.station },
      el("th", { scope: "row" }, el("button", { type: "button", class: "link", "data-station": s.station }, el("bdi", {}, s.station)),
        s.name !== s.station ? el("span", { class: "party" }, el("bdi", {}, s.name)) : null),
      el("td", {}, t(`state.${s.state}`)),
      el("td", { class: "n" }, number(s.revision)), el("td", { class: "n" }, number(counts?.ballots.valid)),
      ...contest.candidates.map((c) => el("td", { class: "n" }, number(counts?.votes[c.id]))));
  }));
  $("stations").onclick = (event) => {
    const id = event.target.closest("button")?.dataset.station;
    if (id) showStation(id);
  };
}

export async function showStation(id) {
  const answer = await fetch(`/api/v1/stations/${encodeURIComponent(id)}`);
  const s = await answer.json();
  if (!answer.ok) return;
  $("station-title").textContent = `${s.station} · ${s.name}`;
  const here = s.contests.find((one) => one.contest === contest.id);
  const parts = [el("p", {}, el("strong", {}, t(`state.${here.state}`)), ` · ${t("station.registered")}: ${number(s.registered)}`)];
  for (const [word, counts] of [["in_force", here.in_force], ["remembered", here.remembered], ["held", here.held]]) {
    if (counts) parts.push(countsTable(t(`station.${word}`), counts));
  }
  parts.push(statementsTable(s));
  fill($("station-body"), parts);
  $("station").showModal();
}

function countsTable(title, counts) {
  return el("table", {}, el("caption", {}, `${title} · ${t("station.revision")} ${counts.revision} · ${t(`kind.${counts.kind}`)}`),
    el("tbody", {}, ...contest.candidates.map((c) => el("tr", {},
      el("th", { scope: "row" }, el("bdi", {}, c.name)), el("td", { class: "n" }, number(counts.votes[c.id])))),
    el("tr", {}, el("th", { scope: "row" }, t("station.valid")), el("td", { class: "n" }, number(counts.ballots.valid)))));
}

function statementsTable(s) {
  const names = ["station.when", "station.kind", "station.revision", "station.verdict", "station.codes", "station.place"];
  return el("table", {}, el("caption", {}, t("station.statements")),
    el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, t(name))))),
    el("tbody", {}, ...s.statements.map((x) => el("tr", {},
      el("td", {}, time(x.timestamp)), el("td", {}, x.kind ? t(`kind.${x.kind}`) : "–"),
      el("td", { class: "n" }, number(x.revision)), el("td", {}, t(`verdict.${x.verdict}`)),
      el("td", {}, x.codes.join(" ") || "–"), el("td", {}, `${s.partition}/${x.offset}`)))));
}
