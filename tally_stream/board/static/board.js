// Start here: opens the stream, keeps what the board said last, and asks for more only when the board says it is new.
import { $, duration, number, percent, since, t } from "./words.js";
import { drawOutcomeOfWhole, drawRoot, isFirst } from "./root.js";
import { drawHistory } from "./history.js";
import { askAreas, isListAnother, startAreas } from "./areas.js";
import { askLedger, startLedger } from "./ledger.js";
import { startPicker } from "./picker.js";

const BOARD_SILENT_MS = 12_000; // it speaks every 5 s
const ROOTS_MISSING = 3; // of a count that is heard, the root comes every 10 s; where there are many contests, more seldom
const QUIET_MS = 300_000;
const LOWER_MS = 15_000;
const ANNOUNCE_MS = 30_000;
const OFTEN_MS = 3_000;
const SELDOM_MS = 10_000; // thousands of pages ask: not all at once, and not for every version

const { contest: contestId, area: place } = document.body.dataset;
const isRoot = place === document.body.dataset.root;
const isWhole = !["screen", "embed"].some((mode) => document.documentElement.classList.contains(mode));
let election = null;
let contest = null;
let root = null;
let beat = null;
let heardAt = Date.now();
let lowerSince = null;
let alarm = "";
let announcedAt = 0;
let isPaused = false;

async function define() {
  const answer = await fetch(`/api/v1/contests/${encodeURIComponent(contestId)}`);
  if (!answer.ok) return false;
  const found = await answer.json();
  if (election !== null && found.definition !== election.definition) location.reload();
  election = found;
  contest = found.contest;
  return true;
}

function open() {
  const query = new URLSearchParams({ contest: contestId, ...(isRoot ? {} : { area: place }) });
  const source = new EventSource(`/api/v1/stream?${query}`);
  source.addEventListener("open", define);
  source.addEventListener("standings", (event) => takeRoot(JSON.parse(event.data)));
  source.addEventListener("beat", (event) => takeBeat(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    setTimeout(open, 2000 + Math.random() * 2000);
  });
}

// An area's own `as_of` is when it changed: what did not change since is as new as the root, whose time each beat has.
function draw() {
  drawRoot(isRoot ? root : { ...root, as_of: beat?.as_of ?? root.as_of }, contest, election, beat?.partial_hold ?? null);
}

function takeRoot(message) {
  heardAt = Date.now();
  if (root !== null && message.version < root.version) {
    // A board that is behind another one catches up; a new night on the same address does not.
    lowerSince ??= Date.now();
    if (Date.now() - lowerSince < LOWER_MS) return;
  }
  lowerSince = null;
  const wasOnHold = root?.on_hold ?? false;
  root = message;
  if (isPaused) return;
  draw();
  if (root.on_hold !== wasOnHold) $("announce").textContent = t(root.on_hold ? "hold" : "hold.over");
  else announce();
}

function takeBeat(message) {
  heardAt = Date.now();
  const before = beat;
  beat = { ...message, ahead: message.now - Date.now() };
  if (root !== null && message.version < root.version) {
    lowerSince ??= Date.now();
    if (message.version >= 0 && Date.now() - lowerSince > LOWER_MS) location.reload();
  } else lowerSince = null;
  if (root !== null && !isPaused && String(before?.partial_hold ?? "") !== String(beat.partial_hold ?? "")) draw();
  if (!isRoot && !isPaused) {
    if (root !== null && before?.as_of !== beat.as_of) draw();
    if (before?.as_of !== beat.as_of || before?.rise !== beat.rise) ask.outcome();
  }
  if (isWhole && !isPaused) {
    if (isRoot && before?.version !== beat.version) ask.history();
    if (isListAnother(before, beat)) ask.areas();
    if (before?.changes !== beat.changes || before?.version < 0) ask.ledger();
  }
  drawFreshness();
}

// At most one question of a kind in `most` milliseconds, at a moment of its own, and none by a page that nobody sees.
function calm(question, most) {
  let waiting = false;
  let isAtOnce = true;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(async () => {
      while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
      waiting = false;
      if (isPaused) return; // going on asks for everything again
      try {
        await question();
      } catch {
        // the stream says when there is contact; the next change asks again
      }
    }, isAtOnce ? 0 : 150 + Math.random() * most);
    isAtOnce = false;
  };
}

// An area's own message has no outcome: that is the whole contest's.
async function askOutcome() {
  const answer = await fetch(`/api/v1/standings/${encodeURIComponent(contestId)}`);
  if (answer.ok) drawOutcomeOfWhole(await answer.json(), contest, election);
}

const ask = {
  ...(isRoot ? { history: calm(() => drawHistory(contest, root), SELDOM_MS) } : { outcome: calm(askOutcome, SELDOM_MS) }),
  areas: calm(askAreas, SELDOM_MS),
  ledger: calm(askLedger, OFTEN_MS),
};

function drawFreshness() {
  const now = Date.now();
  const silent = now - heardAt;
  const sinceContact = beat?.contact ? now + beat.ahead - beat.contact : null;
  let trouble = "";
  if (silent > BOARD_SILENT_MS) trouble = t("fresh.board", { time: duration(silent / 1000) });
  else if (sinceContact !== null && sinceContact > ROOTS_MISSING * 1000 * election.root_seconds) {
    trouble = t("fresh.count", { time: duration(sinceContact / 1000) });
  }
  $("alarm").textContent = trouble;
  $("alarm").hidden = trouble === "";
  document.documentElement.classList.toggle("stale", trouble !== "");
  const kind = trouble.replace(/[\d.,\s]+/g, " ");
  if (kind !== alarm) {
    $("announce").textContent = trouble || t("fresh.back");
    alarm = kind;
  }
  const fresh = $("fresh");
  fresh.hidden = trouble !== "";
  if (trouble !== "") return;
  if (!beat?.rise) {
    fresh.className = "fresh waiting";
    fresh.textContent = t("fresh.waiting");
    return;
  }
  const age = now + beat.ahead - beat.rise;
  const word = isPaused ? "paused" : root?.on_hold ? "hold" : age > QUIET_MS ? "quiet" : "report";
  fresh.className = word === "report" ? "fresh live" : "fresh quiet";
  fresh.textContent = t(`fresh.${word}`, { ago: since(age / 1000) });
}

// What moves by itself can be stopped; contact is watched on, and what came meanwhile is shown at once afterwards.
function startPause() {
  const button = $("pause");
  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.textContent = t(isPaused ? "resume" : "pause");
    if (!isPaused) {
      if (root) draw();
      for (const [name, question] of Object.entries(ask)) if (isWhole || name === "outcome") question();
    }
    drawFreshness();
  });
}

// For those who listen: a sentence now and then, never a figure a second.
function announce() {
  const first = root.candidates.find(isFirst);
  const stations = root.progress.stations;
  if (Date.now() - announcedAt < ANNOUNCE_MS || !root.ballots.valid || stations === null) return;
  announcedAt = Date.now();
  const counted = { done: number(stations.done), of: number(stations.of) };
  $("announce").textContent = first ? t("announce", { ...counted, leader: first.name, share: percent(first.share) })
    : `${t("measure.stations")}: ${t("of", counted)}`;
}

async function start() {
  startPause();
  setInterval(drawFreshness, 1000);
  for (;;) {
    try {
      if (await define()) break;
    } catch {
      // the board is not there yet
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  if (isWhole) {
    startAreas(contest, election, place);
    startLedger(contest, place);
    startPicker();
  }
  open();
}

start();
