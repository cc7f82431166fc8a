// Sets the chosen theme before the first paint, so that a dark console never flashes white.
(function () {
  try {
    var chosen = localStorage.getItem("corliss-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be blocked; the system's preference then decides.
  }
})();
