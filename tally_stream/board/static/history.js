// Shares and stations counted over the night: an SVG chart of our own, small enough to read, and the same as a table.
import { $, el, fill, percent, t, time } from "./words.js";

const HEIGHT = 280;
const LEFT = 44;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const LINES = 5;
const ROWS = 40;
const GAP_SHOWN = 0.35; // share of the width that a quiet stretch may take

let tag = null;
let last = null;

window.addEventListener("resize", () => last && draw(...last));

export async function drawHistory(contest, root) {
  if (root === null) return;
  const answer = await fetch(`/api/v1/history/${encodeURIComponent(contest.id)}`, tag ? { headers: { "If-None-Match": tag } } : {});
  if (answer.status !== 200) return;
  tag = answer.headers.get("ETag");
  const points = (await answer.json()).points.filter((p) => p.as_of !== null && p.candidates.some((c) => c.share !== null));
  $("history-section").hidden = points.length < 2;
  if (points.length < 2) return;
  const drawn = root.candidates.slice(0, LINES);
  last = [points, drawn];
  draw(points, drawn);
  fill($("legend"), [
    ...drawn.map((c, n) => el("li", { class: `line${n}` }, key(), el("bdi", {}, c.name))),
    el("li", { class: "counted" }, key(), t("history.progress")),
  ]);
  table(points, drawn);
}

const key = () => el("svg", { class: "key", "aria-hidden": "true", viewBox: "0 0 22 6" }, el("path", { d: "M0 3H22" }));
const shareOf = (point, id) => point.candidates.find((c) => c.id === id)?.share ?? null;

// Time as it went, but a stretch without reports takes no more than its part of the width.
function places(points) {
  const times = points.map((p) => Date.parse(p.as_of));
  const gaps = times.map((at, n) => (n === 0 ? 0 : Math.max(0, at - times[n - 1])));
  const rest = [...gaps].sort((a, b) => b - a).slice(1).reduce((a, b) => a + b, 0);
  const most = Math.max(rest * GAP_SHOWN, 60_000);
  let at = 0;
  const found = gaps.map((gap) => (at += Math.min(gap, most)));
  return found.map((x) => (at === 0 ? 0 : x / at));
}

function draw(points, drawn) {
  const WIDTH = Math.max(280, $("chart").clientWidth);
  const at = places(points);
  const x = (n) => LEFT + at[n] * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / 100) * (HEIGHT - TOP - BOTTOM);
  const path = (values) => values
    .map((value, n) => (value === null ? null : `${x(n).toFixed(1)} ${y(Number(value)).toFixed(1)}`))
    .filter((place) => place !== null).map((place, n) => (n ? `L${place}` : `M${place}`)).join("");
  const from = time(points[0].as_of);
  const to = time(points.at(-1).as_of);
  const grid = [0, 25, 50, 75, 100].map((value) => el("g", { class: "grid" },
    el("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    el("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, percent(String(value)))));
  const chart = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": t("history.label", { from, to }) },
    ...grid,
    el("path", { class: "counted", d: path(points.map((p) => p.progress.stations?.percent ?? null)) }),
    ...drawn.map((c, n) => el("path", { class: `line${n}`, d: path(points.map((p) => shareOf(p, c.id))) })).reverse(),
    el("text", { x: LEFT, y: HEIGHT - 6 }, from),
    el("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, to));
  fill($("chart"), [chart]);
}

function table(points, drawn) {
  const step = Math.max(1, Math.ceil(points.length / ROWS));
  const rows = points.filter((_, n) => (points.length - 1 - n) % step === 0).reverse();
  fill($("history-head"), [el("tr", {}, el("th", { scope: "col" }, t("history.time")),
    el("th", { scope: "col", class: "n" }, t("history.progress")),
    ...drawn.map((c) => el("th", { scope: "col", class: "n" }, el("bdi", {}, c.name))))]);
  fill($("history"), rows.map((p) => el("tr", {}, el("th", { scope: "row" }, time(p.as_of)),
    el("td", { class: "n" }, percent(p.progress.stations?.percent)),
    ...drawn.map((c) => el("td", { class: "n" }, percent(shareOf(p, c.id)))))));
}
