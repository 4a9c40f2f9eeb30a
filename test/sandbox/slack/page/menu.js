// The menu of a small screen: what stands on the left elsewhere is hidden until
// somebody asks for it, and leaves the screen to the messages again once they
// have chosen.
"use strict";

(() => {
  const button = document.getElementById("menu"), side = document.getElementById("side");
  const open = (shown) => {
    side.classList.toggle("open", shown);
    button.setAttribute("aria-expanded", String(shown));
  };
  button.addEventListener("click", () => open(!side.classList.contains("open")));
  side.addEventListener("click", (e) => {
    if (!e.target.closest("a")) return;
    open(false);
    button.focus();
  });
  addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !side.classList.contains("open")) return;
    open(false);
    button.focus();
  });
})();
