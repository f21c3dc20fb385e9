// --- main: what happens when the page is opened ---

skeleton();
look();
watch(look);
addEventListener("online", look);
// Only over HTTPS or on this machine, where the browser offers it.
navigator.serviceWorker?.register("/app/worker.js", { scope: "/app" }).catch(() => {});
