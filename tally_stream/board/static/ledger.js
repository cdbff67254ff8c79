// The public ledger: every count that was replaced, removed or put back, with its reason, newest first.
import { $, difference, el, fill, t, time } from "./words.js";
import { showStation } from "./areas.js";

const PAGE = 20;
let contest = null;
let lines = [];
let hasMore = false;

export function startLedger(ofContest) {
  contest = ofContest;
  $("ledger-more").addEventListener("click", () => ask(lines.at(-1)));
  $("ledger").addEventListener("click", (event) => {
    const id = event.target.closest("button")?.dataset.station;
    if (id) showStation(id);
  });
}

export const askLedger = () => ask(null);

const placeOf = (c) => `${c.source.timestamp},${c.source.partition},${c.source.offset}`;

async function ask(before) {
  const query = new URLSearchParams({ contest: contest.id, limit: String(PAGE) });
  if (before) query.set("before", placeOf(before));
  const answer = await fetch(`/api/v1/changes?${query}`);
  if (!answer.ok) return;
  const content = await answer.json();
  const known = new Map([...(before ? lines : []), ...content.changes, ...(before ? [] : lines)].map((c) => [placeOf(c), c]));
  lines = [...known.values()];
  if (before || lines.length <= PAGE) hasMore = content.changes.length === PAGE;
  draw();
}

function draw() {
  $("ledger-section").hidden = false;
  $("ledger-box").hidden = !lines.length;
  $("ledger-none").hidden = lines.length > 0;
  $("ledger-more").hidden = !hasMore;
  fill($("ledger"), lines.map((c) => el("tr", {},
    el("td", {}, el("time", { datetime: new Date(c.source.timestamp).toISOString() }, time(c.source.timestamp))),
    el("th", { scope: "row" }, el("button", { type: "button", class: "link", "data-station": c.station }, c.station),
      el("span", { class: "party" }, el("bdi", {}, c.area))),
    el("td", {}, t(`kind.${c.kind}`)),
    el("td", { class: "n" }, difference(c.ballots_delta.valid), byCandidate(c)),
    el("td", {}, el("bdi", {}, c.reason ?? "–"), c.authority ? el("span", { class: "party" }, el("bdi", {}, c.authority)) : null))));
}

function byCandidate(c) {
  const rows = contest.candidates.filter((one) => c.votes_delta[one.id]);
  if (!rows.length) return null;
  return el("details", {}, el("summary", {}, t("ledger.candidates")),
    el("ul", {}, ...rows.map((one) => el("li", {}, el("bdi", {}, one.name), ` ${difference(c.votes_delta[one.id])}`))));
}
