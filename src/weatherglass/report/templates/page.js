(function () {
  "use strict";
  // Charts are complete without this script; it adds hiding of models and the numbers behind a point.
  var root = document.documentElement, hidden = {};
  document.querySelectorAll("button[data-model]").forEach(function (button) {
    button.addEventListener("click", function () {
      var model = button.getAttribute("data-model");
      hidden[model] = !hidden[model];
      button.setAttribute("aria-pressed", String(!hidden[model]));
      root.setAttribute("data-hidden", Object.keys(hidden).filter(function (m) { return hidden[m]; }).join(" "));
    });
  });
  var tip = document.getElementById("tip");
  function place(event) {
    var mark = event.target.closest ? event.target.closest(".chart path[aria-label], [data-tip]") : null;
    var text = mark && (mark.getAttribute("data-tip") || mark.getAttribute("aria-label"));
    tip.hidden = !text;
    if (!text) { return; }
    tip.textContent = text;
    var box = tip.getBoundingClientRect(), left = event.clientX + 12, top = event.clientY + 14;
    tip.style.left = Math.max(4, Math.min(left, window.innerWidth - box.width - 6)) + "px";
    tip.style.top = (top + box.height > window.innerHeight ? event.clientY - box.height - 10 : top) + "px";
  }
  document.addEventListener("pointermove", place);
  document.addEventListener("pointerdown", place);
  document.addEventListener("scroll", function () { tip.hidden = true; }, { passive: true });
})();
