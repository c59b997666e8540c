// Each click opens one more box; the server's answer says whether another follows.
const boxes = document.querySelector("#boxes");
const button = document.querySelector("#more");

button.addEventListener("click", async () => {
  button.disabled = true;
  const answer = await fetch(`/attic/more?page=${button.dataset.page}`);
  boxes.querySelectorAll("[data-following]").forEach((mark) => mark.remove());
  boxes.insertAdjacentHTML("beforeend", await answer.text());
  const mark = boxes.querySelector("[data-following]");
  if (mark === null) {
    button.parentElement.textContent = "That was the last box.";
    return;
  }
  button.dataset.page = mark.dataset.following;
  button.disabled = false;
});
