// Areas as a table that can be sorted and searched, each a door to the areas and polling stations below it.
import { $, el, fill, number, percent, t, time } from "./words.js";

const COLUMNS = [
  { key: "area", kind: "text" }, { key: "area.stations", kind: "n" }, { key: "area.leader", kind: "text" },
  { key: "area.share", kind: "n" }, { key: "area.lead", kind: "n" }, { key: "area.valid", kind: "n" },
  { key: "area.outstanding", kind: "n" },
];
const STATIONS_A_PAGE = 200;
const ANSWER_MAX = 2000;
const SEARCH_MIN_CHARS = 2;
const SEARCH_MAX_CHARS = 64;
const TYPED_MS = 300;
const NOT_READ_MS = 3000;
const NAMES_MOST = 20;

let election = null;
let contest = null;
let place = null;
let found = null;
let sorted = { column: 0, down: false };
let stations = [];
let wanted = STATIONS_A_PAGE;
let hasMore = false;
let timer = null;
let turns = 0;
const names = new Map(); // area id → name
const unnamed = new Set(); // asked for, and not there
let haveNames = null;
const firstNames = new Promise((resolve) => { haveNames = resolve; });

export function startAreas(ofContest, ofElection) {
  contest = ofContest;
  election = ofElection;
  place = placeOf(location.hash);
  window.addEventListener("hashchange", () => {
    place = placeOf(location.hash);
    $("search").value = "";
    forgetStations();
    askAreas();
  });
  $("search").addEventListener("input", () => {
    turns += 1;
    wanted = STATIONS_A_PAGE;
    if (found && !hasStations()) forgetStations();
    if (found) drawTables();
    askIn(TYPED_MS);
  });
  $("stations-more").addEventListener("click", () => {
    wanted = stations.length + STATIONS_A_PAGE;
    askAreas();
  });
}

function forgetStations() {
  turns += 1; // a late answer is for what nobody looks at any more
  stations = [];
  wanted = STATIONS_A_PAGE;
  hasMore = false;
  $("stations-wait").textContent = "";
}

// One timer, whoever wants to ask again.
function askIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(askAreas, ms);
}

function placeOf(hash) {
  try {
    const text = decodeURIComponent(hash.slice(1));
    return text.startsWith("area=") ? text.slice(5) : election.root;
  } catch {
    return election.root; // an address somebody cut short
  }
}

const pathTo = (area) => {
  const parts = area === election.root ? [] : area.split("/");
  return `/api/v1/areas/${[contest.id, ...parts].map(encodeURIComponent).join("/")}`;
};

export async function askAreas() {
  clearTimeout(timer);
  const asked = place;
  const turn = ++turns;
  try {
    const answer = await fetch(pathTo(asked));
    if (asked !== place) return;
    if (answer.status === 404 && place !== election.root) { // an address of no area
      place = election.root;
      askAreas();
    }
    if (!answer.ok) return;
    const content = await answer.json();
    if (asked !== place || content.area !== place) return; // the reader has gone on
    found = content;
    remember(content);
    $("areas-section").hidden = false;
    drawTrail();
    drawTables();
    if (hasStations()) await askStations(turn);
  } catch {
    // the stream says when there is contact; the next change asks again
  }
}

const hasStations = () => !found.areas.length || typed().length >= SEARCH_MIN_CHARS;
const typed = () => $("search").value.trim().slice(0, SEARCH_MAX_CHARS);

function remember(content) {
  for (const { area, name } of [...content.trail, ...content.areas]) names.set(area, name);
  haveNames();
}

// An area by the names of all it lies in, without the whole; its id where no name is known.
export function pathOf(area) {
  const parts = area.split("/");
  const steps = parts.map((_, n) => parts.slice(0, n + 1).join("/")).slice(1);
  return steps.length && steps.every((step) => names.has(step)) ? steps.map((step) => names.get(step)).join(" › ") : names.get(area) ?? area;
}

// Names that no table has brought yet, a few at a time; whether there are new ones.
export async function askNames(areas) {
  await firstNames; // the table of areas brings most
  const missing = [...new Set(areas)].filter((area) => !names.has(area) && !unnamed.has(area)).slice(0, NAMES_MOST);
  for (const area of missing) {
    const answer = await fetch(pathTo(area));
    if (answer.ok) remember(await answer.json());
    else if (answer.status === 404) unnamed.add(area);
  }
  return missing.length > 0;
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
  const words = typed().toLocaleLowerCase();
  const matches = (text) => text.toLocaleLowerCase().includes(words);
  const areas = found.areas.map(rowOf).filter((row) => matches(row.name) || matches(row.area));
  $("areas-box").hidden = !found.areas.length;
  $("stations-box").hidden = !stations.length;
  drawAreas(areas);
  drawStations(stations);
  $("found").textContent = words ? t("areas.found", { n: number(areas.length + stations.length) }) : "";
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

// As many as are wanted, from the first: an update must not take away what "Show more" brought.
async function askStations(turn) {
  const rows = [];
  let isMore = true;
  while (isMore && rows.length < wanted) {
    const query = new URLSearchParams({ contest: contest.id, area: place, limit: String(Math.min(wanted - rows.length, ANSWER_MAX)) });
    if (typed().length >= SEARCH_MIN_CHARS) query.set("q", typed());
    if (rows.length) query.set("after", rows.at(-1).station);
    const answer = await fetch(`/api/v1/stations?${query}`);
    const content = await answer.json();
    if (turn !== turns) return; // asked anew since
    if (!answer.ok) {
      $("stations-wait").textContent = "read" in content
        ? t("stations.wait", { read: number(content.read), of: number(content.of) }) : t("stations.failed");
      if (answer.status === 503) askIn(NOT_READ_MS);
      return;
    }
    rows.push(...content.stations);
    isMore = content.has_more;
  }
  $("stations-wait").textContent = "";
  stations = rows;
  hasMore = isMore;
  drawTables();
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
  await askNames([s.area]);
  const parts = [el("p", {}, el("bdi", {}, pathOf(s.area))), el("p", {}, el("strong", {}, t(`state.${here.state}`)), ` · ${t("station.registered")}: ${number(s.registered)}`)];
  for (const [word, counts] of [["in_force", here.in_force], ["remembered", here.remembered], ["held", here.held]]) {
    if (counts) parts.push(countsTable(t(`station.${word}`), counts));
  }
  parts.push(statementsTable(s));
  fill($("station-body"), parts);
  $("station").showModal();
}

function countsTable(title, counts) {
  return el("table", {}, el("caption", {}, `${title} · ${t("station.revision")} ${number(counts.revision)} · ${t(`kind.${counts.kind}`)}`),
    el("tbody", {}, ...contest.candidates.map((c) => el("tr", {},
      el("th", { scope: "row" }, el("bdi", {}, c.name)), el("td", { class: "n" }, number(counts.votes[c.id])))),
    el("tr", {}, el("th", { scope: "row" }, t("station.valid")), el("td", { class: "n" }, number(counts.ballots.valid)))));
}

function statementsTable(s) {
  const columns = ["station.when", "station.kind", "station.revision", "station.verdict", "station.codes", "station.place"];
  return el("table", {}, el("caption", {}, t("station.statements")),
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, t(name))))),
    el("tbody", {}, ...s.statements.map((x) => el("tr", {},
      el("td", {}, time(x.timestamp)), el("td", {}, x.kind ? t(`kind.${x.kind}`) : "–"),
      el("td", { class: "n" }, number(x.revision)), el("td", {}, t(`verdict.${x.verdict}`)),
      el("td", {}, x.codes.join(" ") || "–"), el("td", {}, `${s.partition}/${x.offset}`)))));
}
