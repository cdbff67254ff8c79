// Shares and stations counted over the night: an SVG chart of our own, small enough to read, and the same as a table.
import { $, day, el, fill, hour, percent, t, time } from "./words.js";

const HEIGHT = 280;
const LEFT = 44;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 58; // a row of times, and first and last beneath
const LINES = 5;
const ROWS = 40;
const COLOURS = 7; // in board.css
const DASHES = 9;
const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE)
  .concat([1, 2, 5, 10, 30, 90, 365].map((days) => days * DAY));
const MARK_APART = 72; // a time's text and some air

const WHOLE_MS = 600_000; // the board thins its points over the night: ask for all of them now and then

let held = [];
let wholeAt = 0;
let last = null;

window.addEventListener("resize", () => last && draw(...last));

export async function drawHistory(contest, root) {
  if (root === null) return;
  const newest = Date.now() - wholeAt < WHOLE_MS ? held.at(-1)?.version : undefined;
  const answer = await fetch(`/api/v1/history/${encodeURIComponent(contest.id)}${newest === undefined ? "" : `?after=${newest}`}`);
  if (answer.status !== 200) return;
  const found = (await answer.json()).points;
  if (newest === undefined || (found.length > 0 && found[0].version <= newest)) {
    held = found;
    wholeAt = Date.now();
  } else {
    const reached = held.at(-1)?.version ?? -1; // two questions can be under way at once, with the same answer
    held = held.concat(found.filter((point) => point.version > reached));
  }
  const points = held.filter((p) => p.as_of !== null && p.candidates.some((c) => c.share !== null));
  $("history-section").hidden = points.length < 2;
  if (points.length < 2) return;
  // A colour and a dash belong to the candidate, not to the rank: when two change places, their lines do not.
  const style = new Map(contest.candidates.map((c, n) => [c.id, `line${n % COLOURS} dash${n % DASHES}`]));
  const drawn = root.candidates.slice(0, LINES).map((c) => ({ ...c, style: style.get(c.id) }));
  last = [points, drawn];
  draw(points, drawn);
  fill($("legend"), [
    ...drawn.map((c) => el("li", { class: c.style }, key(), el("bdi", {}, c.name))),
    el("li", { class: "counted" }, key(), t("history.progress")),
  ]);
  table(points, drawn);
}

const key = () => el("svg", { class: "key", "aria-hidden": "true", viewBox: "0 0 22 6" }, el("path", { d: "M0 3H22" }));
const shareOf = (point, id) => point.candidates.find((c) => c.id === id)?.share ?? null;

// Full minutes, hours or days of the reader's clock, as many as there is room for.
function marks(from, to, width) {
  const most = Math.max(1, Math.floor(width / MARK_APART));
  const step = STEPS.find((one) => (to - from) / one <= most) ?? STEPS.at(-1);
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
    const isMidnight = (at - shift) % DAY === 0;
    found.push([at, isMidnight ? day(at) : hour(at)]);
  }
  return found;
}

function draw(points, drawn) {
  const WIDTH = Math.max(280, $("chart").clientWidth);
  const times = points.map((p) => Date.parse(p.as_of));
  const [begin, end] = [times[0], Math.max(times.at(-1), times[0] + 1)];
  const xOf = (at) => LEFT + ((at - begin) / (end - begin)) * (WIDTH - LEFT - RIGHT);
  const x = (n) => xOf(times[n]);
  const y = (value) => TOP + (1 - value / 100) * (HEIGHT - TOP - BOTTOM);
  const path = (values) => values
    .map((value, n) => (value === null ? null : `${x(n).toFixed(1)} ${y(Number(value)).toFixed(1)}`))
    .filter((place) => place !== null).map((place, n) => (n ? `L${place}` : `M${place}`)).join("");
  const floor = HEIGHT - BOTTOM;
  const ticks = marks(begin, end, WIDTH - LEFT - RIGHT).map(([at, text]) => el("g", { class: "grid" },
    el("line", { x1: xOf(at), x2: xOf(at), y1: floor, y2: floor + 5 }),
    xOf(at) > WIDTH - RIGHT - 18 ? null : el("text", { x: xOf(at), y: floor + 18, "text-anchor": "middle" }, text)));
  const from = time(points[0].as_of);
  const to = time(points.at(-1).as_of);
  const grid = [0, 25, 50, 75, 100].map((value) => el("g", { class: "grid" },
    el("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    el("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, percent(String(value)))));
  const chart = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": t("history.label", { from, to }) },
    ...grid, ...ticks,
    el("path", { class: "counted", d: path(points.map((p) => p.progress.stations?.percent ?? null)) }),
    ...drawn.map((c) => el("path", { class: c.style, d: path(points.map((p) => shareOf(p, c.id))) })).reverse(),
    el("text", { x: LEFT, y: HEIGHT - 20 }, from),
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
