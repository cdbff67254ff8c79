"use strict";
// Before the first paint: the reader's own choice of light or dark, unless the address names one.
(() => {
  const root = document.documentElement;
  if (root.dataset.theme) return;
  try {
    const kept = localStorage.getItem("theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch {
    // storage is refused in some embedded pages; the system's choice stands
  }
})();
