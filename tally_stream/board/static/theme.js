"use strict";
// Before the first paint: the reader's own choice of light or dark, unless the address names one. Then the button for it.
(() => {
  const root = document.documentElement;
  if (!root.dataset.theme) {
    try {
      const kept = localStorage.getItem("theme");
      if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    } catch {
      // storage is refused in some embedded pages; the system's choice stands
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = isDark ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {
        // for this page only, then
      }
    });
  });
})();
