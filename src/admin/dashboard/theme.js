// Before anything is drawn, so that no page flashes in the wrong light.
(() => {
  const kept = localStorage.getItem("tidegate-theme");
  document.documentElement.dataset.theme = ["light", "dark"].includes(kept) ? kept : "auto";
})();
