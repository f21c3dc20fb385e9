// --- compose: the sheet for a new act, and the one for a new category ---

const NEW = "\u0000new";
let photo;

function openCompose() {
  const names = Object.keys(categories);
  const option = (name) => make("option", { value: name, textContent: name });
  const before = $("category").value;
  $("category").replaceChildren(...names.map(option), make("option", { value: NEW, textContent: "New category…" }));
  $("category").value = chosen ?? (names.includes(before) ? before : (names[0] ?? NEW));
  $("name").value ||= localStorage.getItem("name") ?? "";
  drawFresh();
  $("compose").showModal();
}

function drawFresh() {
  $("fresh").hidden = $("category").value !== NEW;
}

async function picked(event) {
  const [file] = event.target.files;
  // The same file may be chosen again.
  event.target.value = "";
  if (!file) return;
  $("photo-wrong").textContent = "";
  $("picture").classList.add("busy");
  try {
    photo = await prepared(file);
    URL.revokeObjectURL($("preview").src);
    $("preview").src = URL.createObjectURL(photo);
    $("preview").hidden = false;
    $("picture").classList.add("full");
  } catch (error) {
    $("photo-wrong").textContent = error.message;
  }
  $("picture").classList.remove("busy");
}

function clearCompose() {
  photo = undefined;
  $("preview").hidden = true;
  $("picture").classList.remove("full");
  for (const id of ["caption", "fresh-name"]) $(id).value = "";
  for (const id of ["photo-wrong", "fields-wrong"]) $(id).textContent = "";
}

// Shows the fault of a field, and the way to it.
function wrong(id, text, field) {
  $(id).textContent = text;
  field.focus();
}

$("compose").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const id of ["photo-wrong", "fields-wrong"]) $(id).textContent = "";
  const fresh = $("category").value === NEW;
  const category = (fresh ? $("fresh-name").value : $("category").value).trim();
  const username = $("name").value.trim();
  const caption = $("caption").value.trim();
  if (!photo) return wrong("photo-wrong", "Take or choose a photo first.", $("choose"));
  if (!caption) return wrong("fields-wrong", "Say in a few words what was done.", $("caption"));
  if (!category) return wrong("fields-wrong", "Give the new category a name.", $("fresh-name"));
  if (!username) return wrong("fields-wrong", "Add your name, or any name.", $("name"));
  localStorage.setItem("name", username);
  upload({ photo, caption, category, username });
  clearCompose();
  $("compose").close();
  scrollTo({ top: 0, behavior: "smooth" });
});

function openCategory() {
  $("category-name").value = "";
  $("category-wrong").textContent = "";
  $("new-category").showModal();
}

$("new-category").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("category-name").value.trim();
  if (!name) return wrong("category-wrong", "Give it a name.", $("category-name"));
  const [button] = event.target.querySelectorAll("[type=submit]");
  button.disabled = true;
  try {
    await addCategory(name, { waiting: () => ($("category-wrong").textContent = "The service is busy. It goes on by itself…") });
    $("new-category").close();
    choose(name);
  } catch (error) {
    const text = exists(error.status, error.message) ? `There is a category ${name} already.` : inWords(error);
    wrong("category-wrong", text, $("category-name"));
  } finally {
    button.disabled = false;
  }
});

for (const id of ["take", "choose"]) $(id).addEventListener("change", picked);
$("category").addEventListener("change", drawFresh);
for (const button of document.querySelectorAll("[data-open=compose]")) button.addEventListener("click", openCompose);

// --- end of compose ---

