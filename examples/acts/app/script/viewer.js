// --- viewer: one act, large, with what can be done to it ---

let viewed;
let sure = false;

function view(card) {
  viewed = card;
  sure = false;
  $("viewer-image").src = imageOf(card);
  $("viewer-image").alt = card.caption || "A photo without words";
  $("viewer-caption").textContent = card.caption || "Without words";
  $("viewer-line").textContent = `${card.username} · ${card.categoryName} · ${age(card.timestamp)}`;
  $("viewer-wrong").textContent = "";
  $("viewer-delete").textContent = "Delete";
  drawVotes();
  $("viewer").showModal();
}

function drawVotes() {
  $("viewer-upvote").replaceChildren(icon(UP), many(viewed.upvotes, "upvote", "upvotes"));
  $("viewer-upvote").setAttribute("aria-label", `Upvote, ${many(viewed.upvotes, "upvote", "upvotes")} so far`);
}

// Not asked again when the answer was lost: that could count twice.
async function vote(card, button) {
  button.disabled = true;
  try {
    await ask("POST", `${API}/acts/upvote`, { body: [card.actId], once: true });
    card.upvotes += 1;
    items.get(card.actId)?.update(card);
  } catch (error) {
    if (error instanceof Unanswered) throw new Error("No answer came, so this may not have been counted. Look again.");
    throw error;
  } finally {
    button.disabled = false;
    button.focus();
  }
}

$("viewer-upvote").addEventListener("click", async (event) => {
  try {
    await vote(viewed, event.currentTarget);
    drawVotes();
  } catch (error) {
    $("viewer-wrong").textContent = inWords(error);
  }
});

$("viewer-delete").addEventListener("click", async () => {
  if (!sure) {
    sure = true;
    $("viewer-delete").textContent = "Delete for good?";
    return;
  }
  const { actId } = viewed;
  $("viewer-delete").disabled = true;
  try {
    await ask("DELETE", `${API}/acts/${actId}`, { settled: (status) => status === 404 });
  } catch (error) {
    // Somebody else was faster, which is as good.
    if (error.status !== 404) {
      $("viewer-wrong").textContent = inWords(error);
      return;
    }
  } finally {
    $("viewer-delete").disabled = false;
  }
  $("viewer").close();
  cards = cards.filter((card) => card.actId !== actId);
  drawGrid();
  notice("Deleted.");
  look();
});

// --- end of viewer ---

