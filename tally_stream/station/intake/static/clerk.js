// What the clerk's page can do beyond its HTML: sums while typing, a draft that outlives a reload, sending when the connection
// is back. It has no words of its own: they stand in the form's data- attributes.
//
// What waits to be sent is a body that is kept as it is, under its own revision, and sent again unchanged; the fields are
// locked meanwhile. So two different reports never go out under one revision, however often an answer is lost.

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 30000;
const ANSWER_MAX_MS = 60000;
const LOOK_MS = 3000;
const NOT_TYPED = new Set(["csrf", "revision", "zone", "confirm"]);

let sending = null; // an AbortController while a try is under way
let timer = 0;
let failures = 0;

const sheet = () => document.getElementById("sheet");
const fields = () => [...sheet().elements].filter((one) => one.tagName === "INPUT" && !NOT_TYPED.has(one.name));

// -- the draft ---------------------------------------------------------------------------------------------------------

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function write(key, draft) {
  try {
    localStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // A browser that keeps nothing: what was typed is in the fields as long as the page is open.
  }
}

function keep(body) {
  const form = sheet();
  const typed = Object.fromEntries(fields().map((one) => [one.name, one.value]));
  write(form.dataset.draft, { typed, revision: form.elements.revision.value, body });
}

function restore(form) {
  const draft = read(form.dataset.draft);
  if (!draft) return;
  let isAnything = false;
  for (const one of fields()) {
    if (!draft.typed[one.name]) continue;
    one.value = draft.typed[one.name];
    one.closest("details")?.setAttribute("open", "");
    isAnything = true;
  }
  if (draft.body) {
    form.elements.revision.value = draft.revision;
    lock(true);
    attempt(draft.body);
  } else if (isAnything) {
    tell(form.dataset.wordScriptRestored);
  }
}

// -- sums --------------------------------------------------------------------------------------------------------------

function count(name) {
  const typed = sheet().elements[name]?.value.trim() ?? "";
  return /^[0-9]{1,9}$/.test(typed) ? Number(typed) : null;
}

function written(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, sheet().dataset.group);
}

function filled(words, values) {
  return words.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

function say(name, counts, of, isWhole) {
  const words = sheet().dataset;
  const total = counts.reduce((sum, one) => sum + (one ?? 0), 0);
  const at = `wordSum${name === "ballots" ? "Ballots" : "Votes"}`;
  let text = filled(words[at], { total: written(total) });
  if (of !== null) {
    const apart = written(Math.abs(of - total));
    text = filled(words[`${at}Of`], { total: written(total), of: written(of) });
    if (total > of) text += `. ${filled(words.wordSumOver, { n: apart })}`;
    else if (total < of) text += `. ${filled(isWhole ? words.wordSumMissing : words.wordSumLeft, { n: apart })}`;
    else if (isWhole) text += `. ${words.wordSumRight}`;
  }
  const place = document.querySelector(`#sum-${name} output`);
  if (place.textContent !== text) place.textContent = text;
}

function sums() {
  if (!document.getElementById("sum-ballots")) return; // turnout adds nothing up
  const each = Number(sheet().dataset.votesPerBallot);
  const parts = ["valid", "blank", "invalid"].map(count);
  say("ballots", parts, count("cast"), !parts.includes(null));
  const votes = fields().filter((one) => one.name.startsWith("votes ")).map((one) => count(one.name));
  const valid = count("valid");
  say("votes", votes, valid === null ? null : valid * each, each === 1 && !votes.includes(null));
}

// -- time --------------------------------------------------------------------------------------------------------------

const two = (number) => String(number).padStart(2, "0");

function zoneOf(moment) {
  const minutes = -moment.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

// A clock's time becomes the last moment at which it showed that, in this device's zone: sent tomorrow, it still says today.
function writeOutTime() {
  const field = sheet().elements.counted_at ?? sheet().elements.as_of;
  const clock = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/.exec(field.value.trim());
  if (!clock) return;
  const now = new Date();
  const moment = new Date(now.getFullYear(), now.getMonth(), now.getDate(), Number(clock[1]), Number(clock[2]));
  if (moment - now > 5 * 60000) moment.setDate(moment.getDate() - 1);
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  field.value = `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}:00${zoneOf(moment)}`;
}

// -- sending -----------------------------------------------------------------------------------------------------------

function tell(words) {
  const told = document.getElementById("told");
  told.hidden = !words;
  told.textContent = words;
}

function lock(isLocked) {
  for (const one of [...fields(), sheet().elements.revision]) one.readOnly = isLocked;
  document.getElementById("stop").hidden = !isLocked;
  sheet().querySelector("button.send").disabled = isLocked;
}

async function attempt(body) {
  clearTimeout(timer);
  if (sending) return;
  const form = sheet();
  const own = (sending = new AbortController());
  tell(form.dataset.wordScriptSending);
  const limit = setTimeout(() => own.abort(), ANSWER_MAX_MS);
  try {
    const sent = new URLSearchParams([...body, ["csrf", form.elements.csrf.value]]);
    const answer = await fetch(form.action, { method: "POST", body: sent, credentials: "same-origin", signal: own.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (sending !== own) return;
    if (answer.redirected && answer.url.includes("/receipt/")) {
      localStorage.removeItem(form.dataset.draft);
      location.assign(answer.url);
      return;
    }
    if (!page.getElementById("main")) throw new Error("not a page of ours: something between here and there answered");
    sending = null;
    swap(page);
    if (sheet()?.dataset.waits === "true") {
      keep(body);
      lock(true);
      later(body);
    } else {
      failures = 0;
    }
  } catch {
    if (sending !== own) return;
    sending = null;
    tell(sheet().dataset.wordScriptOffline);
    later(body);
  } finally {
    clearTimeout(limit);
  }
}

function later(body) {
  failures += 1;
  const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures);
  timer = setTimeout(() => attempt(body), most / 2 + (Math.random() * most) / 2);
}

// The answer's page takes the place of this one.
function swap(page) {
  document.title = page.title;
  document.documentElement.lang = page.documentElement.lang;
  document.getElementById("main").replaceWith(page.getElementById("main"));
  begin();
}

function stop() {
  clearTimeout(timer);
  sending?.abort();
  sending = null;
  failures = 0;
  lock(false);
  tell("");
  keep(null);
}

document.addEventListener("input", (event) => {
  if (!sheet()?.contains(event.target) || NOT_TYPED.has(event.target.name)) return;
  sums();
  keep(null);
});

// For who listens, a sum is said when a figure is typed and left, not at each digit of it.
document.addEventListener("change", (event) => {
  const sum = event.target.closest?.("fieldset")?.querySelector(".sum");
  if (sum) document.getElementById("heard").textContent = sum.textContent;
});

document.addEventListener("submit", (event) => {
  if (event.target !== sheet() || (event.submitter && event.submitter.value !== "send")) return;
  event.preventDefault();
  if (sending || sheet().querySelector("button.send").disabled) return;
  writeOutTime();
  const body = [...new FormData(sheet())].filter(([name]) => name !== "csrf");
  body.push(["do", "send"]);
  failures = 0;
  keep(body);
  lock(true);
  attempt(body);
});

document.addEventListener("click", (event) => {
  if (event.target.id === "stop") stop();
});

window.addEventListener("online", () => {
  const body = sheet() && read(sheet().dataset.draft)?.body;
  if (body) attempt(body);
});

// -- the receipt -------------------------------------------------------------------------------------------------------

async function lookAgain() {
  const state = document.getElementById("state");
  if (!state || state.dataset.final === "true") return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("state");
    if (newer && newer.dataset.final === "true") {
      state.className = newer.className;
      state.dataset.final = "true";
      state.replaceChildren(...newer.childNodes);
    }
  } catch {
    // No connection: what is shown stays true, and it is looked again.
  }
  setTimeout(lookAgain, LOOK_MS);
}

function begin() {
  const form = sheet();
  const state = document.getElementById("state");
  if (form) {
    const zone = zoneOf(new Date());
    form.elements.zone.value = zone;
    document.getElementById("zone").textContent = zone;
    if (form.dataset.fresh === "true") restore(form);
    else keep(null);
    sums();
  }
  if (state) {
    if (read(state.dataset.draft)?.revision === state.dataset.revision) localStorage.removeItem(state.dataset.draft);
    setTimeout(lookAgain, LOOK_MS);
  }
  document.getElementById("look")?.focus();
}

begin();
