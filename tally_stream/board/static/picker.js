// Looks for a contest among many, as the reader types. Without scripts the form leads to a page of its own.
import { $, el, fill, linked, number, t } from "./words.js";

const SHOWN = 20;
const SEARCH_MIN_CHARS = 2;
const TYPED_MS = 300;
let timer = null;
let turns = 0;

export function startPicker() {
  if (!$("contest-form")) return; // few contests: they stand there as links
  $("contest-words").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, TYPED_MS);
  });
  $("contest-form").addEventListener("keydown", (event) => {
    if (event.key === "Escape") draw([], "");
  });
}

async function ask() {
  const turn = ++turns;
  const words = $("contest-words").value.trim();
  if (words.length < SEARCH_MIN_CHARS) {
    draw([], "");
    return;
  }
  try {
    const answer = await fetch(`/api/v1/contests?${new URLSearchParams({ q: words, limit: String(SHOWN) })}`);
    if (!answer.ok) return;
    const { contests, found } = await answer.json();
    if (turn === turns) draw(contests, t("contests.found", { n: number(found) }), found > contests.length);
  } catch {
    // the next letter asks again
  }
}

function draw(contests, found, isMore = false) {
  $("contest-found").textContent = found;
  const items = contests.map((one) => el("li", { "data-key": one.id },
    el("a", { href: linked(one.page) }, el("bdi", {}, one.name))));
  if (isMore) items.push(el("li", {}, el("button", { class: "link" }, t("more")))); // the form's own page has them all
  fill($("contest-list"), items);
}
