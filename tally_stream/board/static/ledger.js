// The public ledger: every count that was replaced, removed or put back, with its reason, newest first.
import { $, difference, el, fill, number, t, time } from "./words.js";
import { showStation } from "./areas.js";

const PAGE = 20;
const ANSWER_MAX = 500;
let contest = null;
let place = null;
let wanted = PAGE;
let lines = [];
let hasMore = false;
let turns = 0;
let drawn = 0;
let names = {}; // area id → its name, with those of the areas it lies in

export function startLedger(ofContest, ofPlace) {
  [contest, place] = [ofContest, ofPlace];
  $("ledger-more").addEventListener("click", () => {
    wanted = lines.length + PAGE;
    askLedger();
  });
  $("ledger").addEventListener("click", (event) => {
    const id = event.target.closest("button")?.dataset.station;
    if (id) showStation(id);
  });
}

const placeOf = (c) => `${c.source.timestamp},${c.source.partition},${c.source.offset}`;

// As many lines as are wanted, from the newest and without a gap: lines kept from before could leave one.
export async function askLedger() {
  const turn = ++turns;
  const found = [];
  const told = {};
  let isMore = true;
  while (isMore && found.length < wanted) {
    const limit = Math.min(wanted - found.length, ANSWER_MAX);
    const query = new URLSearchParams({ contest: contest.id, area: place, limit: String(limit) });
    if (found.length) query.set("before", placeOf(found.at(-1)));
    const answer = await fetch(`/api/v1/changes?${query}`);
    if (!answer.ok) return;
    const content = await answer.json();
    found.push(...content.changes);
    Object.assign(told, content.names);
    isMore = content.changes.length === limit;
  }
  if (turn < drawn) return; // overtaken
  drawn = turn;
  [lines, names, hasMore] = [found, told, isMore];
  draw();
}

function draw() {
  $("ledger-section").hidden = false;
  $("ledger-box").hidden = !lines.length;
  $("ledger-none").hidden = lines.length > 0;
  $("ledger-more").hidden = !hasMore;
  fill($("ledger"), lines.map((c) => el("tr", { "data-key": placeOf(c) },
    el("td", {}, el("time", { datetime: new Date(c.source.timestamp).toISOString() }, time(c.source.timestamp)),
      el("span", { class: "party" }, t("ledger.place", c.source))),
    el("th", { scope: "row" }, el("button", { type: "button", class: "link", "data-station": c.station }, c.station),
      el("span", { class: "party" }, el("bdi", {}, names[c.area] ?? c.area))),
    el("td", {}, t(`kind.${c.kind}`), el("span", { class: "party" }, t("ledger.revision", {
      from: number(c.from_revision), to: number(c.to_revision) }))),
    el("td", { class: "n" }, difference(c.ballots_delta.valid), byCandidate(c)),
    el("td", {}, el("bdi", {}, c.reason ?? "–"), c.authority ? el("span", { class: "party" }, el("bdi", {}, c.authority)) : null))));
}

function byCandidate(c) {
  const rows = contest.candidates.filter((one) => c.votes_delta[one.id]);
  if (!rows.length) return null;
  return el("details", {}, el("summary", {}, t("ledger.candidates")),
    el("ul", {}, ...rows.map((one) => el("li", {}, el("bdi", {}, one.name), ` ${difference(c.votes_delta[one.id])}`))));
}
