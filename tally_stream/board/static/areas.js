// The areas below, or those of any level that a search finds, and the polling stations. The board sorts, searches and cuts
// into pages; here are drawn the rows that it answers.
import { $, counted, el, fill, linked, number, percent, said, say, t, time } from "./words.js";

const COLUMNS = ["area", "stations", "leader", "share", "lead", "valid", "outstanding"];
const TEXTS = ["area", "leader"];
const AREAS_A_PAGE = 100;
const STATIONS_A_PAGE = 200;
const AREAS_ANSWER_MAX = 1000;
const STATIONS_ANSWER_MAX = 2000;
const SEARCH_MIN_CHARS = 2;
const SEARCH_MAX_CHARS = 64;
const TYPED_MS = 300;
const NOT_READ_MS = 3000;

let election = null;
let contest = null;
let place = null;
let areas = [];
let areasFound = 0;
let areasWanted = AREAS_A_PAGE;
let sorted = { column: "area", down: false };
let isWithoutAreas = false;
let stations = [];
let wanted = STATIONS_A_PAGE;
let stationsFound = null; // null: not told yet
let timer = null;
let turns = 0;

export function startAreas(ofContest, ofElection, ofPlace) {
  [contest, election, place] = [ofContest, ofElection, ofPlace];
  if (COLUMNS.includes(said("sort"))) sorted.column = said("sort");
  sorted.down = said("order") === "desc";
  areasWanted += Number(said("from")) || 0;
  wanted += Number(said("stations_from")) || 0;
  $("areas-next").hidden = $("stations-next").hidden = true; // buttons do it
  $("search").addEventListener("input", () => begin(TYPED_MS));
  $("areas-form").addEventListener("submit", (event) => {
    event.preventDefault();
    begin(0);
  });
  $("areas-more").addEventListener("click", () => {
    areasWanted = areas.length + AREAS_A_PAGE;
    askAreas();
  });
  $("stations-more").addEventListener("click", () => {
    wanted = stations.length + STATIONS_A_PAGE;
    askAreas();
  });
  $("areas-head").addEventListener("click", (event) => {
    const column = event.target.closest("button")?.dataset.column;
    if (!column) return;
    sorted = { column, down: sorted.column === column ? !sorted.down : !TEXTS.includes(column) };
    drawHead();
    begin(0);
  });
  drawHead();
}

// Another question than before: the first page of its answer, and what was asked before is nobody's any more.
function begin(ms) {
  turns += 1;
  [areasWanted, wanted] = [AREAS_A_PAGE, STATIONS_A_PAGE];
  askIn(ms, () => {
    say({ q: typed(), sort: sorted.column === "area" ? "" : sorted.column, order: sorted.down ? "desc" : "" });
    askAreas();
  });
}

// One timer, whoever wants to ask again.
function askIn(ms, question = askAreas) {
  clearTimeout(timer);
  timer = setTimeout(question, ms);
}

const typed = () => $("search").value.trim().slice(0, SEARCH_MAX_CHARS);
const isSearching = () => typed().length >= SEARCH_MIN_CHARS;

// Whether a beat says that what is listed here may be another.
export function isListAnother(before, beat) {
  if (before?.areas !== beat.areas) return true;
  return isSearching() ? before.as_of !== beat.as_of : isWithoutAreas && before.version !== beat.version;
}

export async function askAreas() {
  clearTimeout(timer);
  const turn = ++turns;
  try {
    const answered = await askRows(turn);
    if (!answered) return;
    isWithoutAreas = !isSearching() && areasFound === 0;
    if (isSearching() || isWithoutAreas) await askStations(turn);
    else forgetStations();
    if (turn === turns) drawFound();
  } catch {
    // the stream says when there is contact; the next change asks again
  }
}

// As many as are wanted, from the first: an update must not take away what "Show more" brought.
async function askRows(turn) {
  const rows = [];
  let found = 1;
  while (rows.length < Math.min(found, areasWanted)) {
    const query = new URLSearchParams({ limit: String(Math.min(areasWanted - rows.length, AREAS_ANSWER_MAX)) });
    if (rows.length) query.set("from", String(rows.length));
    if (isSearching()) query.set("q", typed());
    if (sorted.column !== "area") query.set("sort", sorted.column);
    if (sorted.down) query.set("order", "desc");
    const within = isSearching() ? election.root : place;
    const path = [contest.id, ...within.split("/")].map(encodeURIComponent).join("/");
    const answer = await fetch(`/api/v1/areas/${path}?${query}`);
    if (turn !== turns || !answer.ok) return false; // asked anew since
    const content = await answer.json();
    if (turn !== turns) return false;
    rows.push(...content.areas);
    found = content.found;
    if (!content.areas.length) break;
  }
  [areas, areasFound] = [rows, found];
  drawAreas();
  return true;
}

function forgetStations() {
  [stations, stationsFound] = [[], null];
  $("stations-wait").textContent = "";
  drawStations(stations);
}

function textsOf(row) {
  return [
    row.stations ? `${number(row.stations.done)} / ${number(row.stations.of)}` : "–", row.leader?.name ?? "–",
    percent(row.leader?.share), number(row.lead), number(row.valid), number(row.outstanding),
  ];
}

const kindOf = (column) => (TEXTS.includes(column) ? null : "n");

function drawHead() {
  fill($("areas-head"), [el("tr", {}, ...COLUMNS.map((column) => {
    const word = t(column === "area" ? "area" : `area.${column}`);
    return el("th", {
      scope: "col", class: kindOf(column),
      "aria-sort": column === sorted.column ? (sorted.down ? "descending" : "ascending") : null,
    }, el("button", { type: "button", "data-column": column, title: t("sort", { column: word }) }, word));
  }))]);
}

function drawAreas() {
  $("areas-section").hidden = false;
  $("areas-box").hidden = !areas.length;
  $("areas-more").hidden = areas.length >= areasFound;
  fill($("areas"), areas.map((row) => el("tr", { "data-key": row.area },
    el("th", { scope: "row" }, el("a", { href: linked(row.page) }, el("bdi", {}, row.name)),
      isSearching() && row.above.length ? el("span", { class: "party" }, el("bdi", {}, row.above.join(" › "))) : null),
    ...textsOf(row).map((text, n) => el("td", { class: kindOf(COLUMNS[n + 1]) }, el("bdi", {}, text))))));
}

// How many of each there are, never how many of them are listed; stations where they can be told.
function drawFound() {
  const found = { areas: counted("areas", areasFound), stations: counted("stations", stationsFound) };
  $("found").textContent = isSearching() ? t(stationsFound === null ? "found.areas" : "found", found) : "";
}

// -- stations ---------------------------------------------------------------------------------------------------------

// As many as are wanted, from the first, as with areas.
async function askStations(turn) {
  const rows = [];
  let found = 1;
  while (rows.length < Math.min(found, wanted)) {
    const query = new URLSearchParams({
      contest: contest.id, area: place, limit: String(Math.min(wanted - rows.length, STATIONS_ANSWER_MAX)),
    });
    if (isSearching()) query.set("q", typed());
    if (rows.length) query.set("after", rows.at(-1).station);
    const answer = await fetch(`/api/v1/stations?${query}`);
    const content = await answer.json();
    if (turn !== turns) return; // asked anew since
    if (!answer.ok) {
      stationsFound = null;
      $("stations-wait").textContent = "read" in content
        ? t("stations.wait", { read: number(content.read), of: number(content.of) }) : t("stations.failed");
      if (answer.status === 503) askIn(NOT_READ_MS);
      return;
    }
    rows.push(...content.stations);
    found = content.found;
    if (!content.has_more) break;
  }
  $("stations-wait").textContent = "";
  [stations, stationsFound] = [rows, found];
  drawStations(stations);
}

function drawStations(rows) {
  $("stations-box").hidden = !rows.length;
  $("stations-more").hidden = stations.length >= stationsFound;
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
  if (!here) return;
  const names = s.trail.map((step) => step.name);
  const path = names.slice(Math.min(1, names.length - 1)).join(" › "); // without the whole
  const parts = [el("p", {}, el("bdi", {}, path)), el("p", {}, el("strong", {}, t(`state.${here.state}`)), ` · ${t("station.registered")}: ${number(s.registered)}`)];
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
