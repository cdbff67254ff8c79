// The page of a group: asks for its seats every ten seconds, at a moment of its own and only while it is seen. The board has
// written the first ones into the page (page_group.py).
import { $, duration, el, fill, linked, number, percent, said, t, time } from "./words.js";
import { seatsDrawn } from "./seats.js";

const EVERY_MS = 10_000;
const SILENT_MS = 35_000; // three questions had no answer
const address = document.body.dataset.group;
let heardAt = Date.now();

async function ask() {
  const query = new URLSearchParams({ limit: "100", ...(said("from") ? { from: said("from") } : {}) });
  const answer = await fetch(`${address}?${query}`);
  if (!answer.ok) return;
  draw(await answer.json());
  heardAt = Date.now();
}

function draw(group) {
  const line = [el("span", {}, t("group.line", {
    contests: number(group.found), now: number(group.now), seats: number(group.seats),
  }))];
  if (group.as_of !== null) {
    const [before, after] = t("as_of", { time: "\0" }).split("\0");
    line.push(" ", el("span", {}, before, el("time", { datetime: group.as_of }, time(group.as_of)), after));
  }
  fill($("line"), line);
  const parts = group.parties.map((line_, place) => ({ ...line_, name: line_.party, place }));
  const drawn = seatsDrawn(parts, group.seats, t("group.party"));
  fill($("seats"), drawn.length ? drawn : [el("p", {}, t("group.none"))]);
  fill($("contests"), group.contests.map((one) => el("tr", { "data-key": one.id },
    el("th", { scope: "row" }, el("a", { href: linked(one.page) }, el("bdi", {}, one.name)),
      one.status === null ? null : " ", one.status === null ? null : el("span", { class: "party" }, t(`status.${one.status}`))),
    ...[one.seats_to_share, one.now, one.certain].map((figure) => el("td", { class: "n" }, number(figure))),
    el("td", { class: "n" }, percent(one.stations?.percent)))));
}

function drawFreshness() {
  const silent = Date.now() - heardAt;
  $("alarm").hidden = silent < SILENT_MS;
  $("alarm").textContent = silent < SILENT_MS ? "" : t("fresh.board", { time: duration(silent / 1000) });
  document.documentElement.classList.toggle("stale", silent >= SILENT_MS);
}

async function go() {
  for (;;) {
    while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    try {
      await ask();
    } catch {
      // what stands there is said to be old, once it is
    }
    drawFreshness();
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS + Math.random() * 1000));
  }
}

go();
