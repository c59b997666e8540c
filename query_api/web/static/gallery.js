/* What pages do beyond links and forms. Everything here is an ease: without it, search, paging and every form work. */

const thumbnail = (id) => `/v1/images/${id}/thumbnail?w=96`;
const isTyping = (target) => target.closest("input, textarea, select, [contenteditable], dialog[open]") !== null;

/* The marked pictures outlive a page, so that two can be brought together from two searches. */
const marks = {
  all: () => JSON.parse(sessionStorage.getItem("marks") ?? "[]"),
  set(ids) {
    sessionStorage.setItem("marks", JSON.stringify([...new Set(ids)].slice(-50)));
    document.dispatchEvent(new Event("marks"));
  },
  toggle(id) {
    const ids = this.all();
    this.set(ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]);
  },
};

function showMarks() {
  const ids = marks.all();
  for (const card of document.querySelectorAll(".card")) {
    const marked = ids.includes(card.dataset.id);
    card.toggleAttribute("data-marked", marked);
    card.querySelector("[data-does=mark]")?.setAttribute("aria-pressed", marked);
  }
  const bar = document.getElementById("marked");
  if (!bar) return;
  bar.hidden = ids.length === 0;
  bar.querySelector(".count").textContent = `${ids.length} marked`;
  bar.querySelector(".thumbs").replaceChildren(
    ...ids.slice(-6).map((id) => Object.assign(new Image(), { src: thumbnail(id), alt: "" })),
  );
  const merge = bar.querySelector("[data-for=merge]");
  merge.hidden = ids.length !== 2;
  merge.href = `/merge?a=${ids[0]}&b=${ids[1]}`;
  bar.querySelector("[data-for=look]").href = "/?" + ids.slice(-8).map((id) => `look=${id}`).join("&");
}

class PictureGrid extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("keydown", (event) => this.pressed(event));
    showMarks();
  }

  get cards() {
    return [...this.querySelectorAll(".card")];
  }

  get current() {
    return document.activeElement?.closest?.(".card") ?? null;
  }

  clicked(event) {
    const card = event.target.closest(".card");
    const does = event.target.closest("[data-does]")?.dataset.does;
    if (does === "mark" && event.shiftKey) this.markUpTo(card);
    else if (does === "mark") this.mark(card);
    else if (does === "cutout") this.cutout(card);
    else if (card && event.shiftKey && event.target.closest(".shown")) {
      event.preventDefault();
      this.markUpTo(card);
    }
  }

  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const card = this.current;
    if (step && (card || document.activeElement === document.body || document.activeElement.id === "main")) {
      event.preventDefault();
      this.go(card, step, event.shiftKey);
    } else if (card && event.key === "s") location.href = `/?look=${card.dataset.id}`;
    else if (card && event.key === "c") this.cutout(card);
    else if (card && event.key === "m") this.mark(card);
    else if (event.key === "Escape") marks.set([]);
  }

  /* Sideways in reading order; up and down to the card whose middle is nearest in the row above or below. */
  go(from, [across, down], marking) {
    const cards = this.cards;
    let to = cards[0];
    if (from && across) to = cards[cards.indexOf(from) + across];
    else if (from) to = this.inNextRow(cards, from, down);
    if (!to) return;
    if (marking && from) marks.set([...marks.all(), from.dataset.id, to.dataset.id]);
    to.querySelector(".shown").focus();
    to.scrollIntoView({ block: "nearest" });
  }

  inNextRow(cards, from, down) {
    const middle = (box) => box.left + box.width / 2;
    const here = from.getBoundingClientRect();
    const beyond = cards
      .map((card) => ({ card, box: card.getBoundingClientRect() }))
      .filter(({ box }) => (down > 0 ? box.top > here.top + 5 : box.top < here.top - 5));
    const row = down > 0 ? Math.min(...beyond.map(({ box }) => box.top)) : Math.max(...beyond.map(({ box }) => box.top));
    return beyond
      .filter(({ box }) => Math.abs(box.top - row) < 5)
      .sort((a, b) => Math.abs(middle(a.box) - middle(here)) - Math.abs(middle(b.box) - middle(here)))[0]?.card;
  }

  mark(card) {
    this.lastMarked = card;
    marks.toggle(card.dataset.id);
  }

  markUpTo(card) {
    const cards = this.cards;
    const [first, last] = [cards.indexOf(this.lastMarked ?? cards[0]), cards.indexOf(card)].sort((a, b) => a - b);
    this.lastMarked = card;
    marks.set([...marks.all(), ...cards.slice(first, last + 1).map(({ dataset }) => dataset.id)]);
  }

  cutout(card) {
    if (!("cutout" in card.dataset)) return;
    const picture = card.querySelector(".shown img");
    const showing = card.toggleAttribute("data-cut");
    picture.dataset.whole ??= picture.srcset;
    picture.srcset = showing ? `/v1/images/${card.dataset.id}/cutout?format=webp` : picture.dataset.whole;
    card.querySelector("[data-does=cutout]").setAttribute("aria-pressed", showing);
  }
}

/* The original to the left of a line, nothing but its subject to the right of it. */
class CutoutSlider extends HTMLElement {
  connectedCallback() {
    const [range, over] = [this.querySelector("input"), this.querySelector(".over")];
    const set = () => (over.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`);
    range.addEventListener("input", set);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "c" || event.ctrlKey || event.metaKey || isTyping(event.target)) return;
      range.value = range.value === "100" ? 0 : 100;
      set();
    });
    set();
  }
}

/* The seam as it is moved: the next result is shown when it is there, and only the last one that was asked for. */
class MergeStage extends HTMLElement {
  connectedCallback() {
    this.querySelector("form").addEventListener("input", () => this.changed());
  }

  changed() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.show(), 60);
  }

  async show() {
    const query = new URLSearchParams(new FormData(this.querySelector("form"))).toString();
    history.replaceState(null, "", `/merge?${query}`);
    const next = Object.assign(new Image(), { src: `/merge/preview.webp?${query}`, alt: "The two pictures, merged", className: "result" });
    this.latest = next;
    await next.decode();
    if (this.latest === next) this.querySelector(".result").replaceWith(next);
  }
}

/* A job under way: its page is asked for again whenever the server says that something has changed. */
class LiveJob extends HTMLElement {
  connectedCallback() {
    this.events = new EventSource(this.getAttribute("events"));
    this.events.addEventListener("progress", () => this.renew());
    this.events.addEventListener("end", () => {
      this.events.close();
      this.renew();
    });
  }

  disconnectedCallback() {
    this.events.close();
  }

  async renew() {
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
    if (answer.ok) this.querySelector(".board").innerHTML = await answer.text();
  }
}

/* A picture from elsewhere: picked, dropped, pasted. One of our own that is dragged is asked for by its number. */
function bring(files) {
  const form = document.getElementById("bring");
  const input = form.querySelector("input[type=file]");
  if (files !== input.files) input.files = files;
  form.querySelector("input[name=q]").value = document.getElementById("q")?.value ?? "";
  if (input.files.length) form.submit();
}

function dropped(event) {
  document.body.classList.remove("dropping");
  const own = event.dataTransfer.getData("text/uri-list").match(/\/images\/(\d+)/);
  if (own) location.href = `/?look=${own[1]}`;
  else if (event.dataTransfer.files.length) bring(event.dataTransfer.files);
  else return;
  event.preventDefault();
}

function shortcuts(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "/") document.getElementById("q")?.focus();
  else if (event.key === "?") document.getElementById("help").showModal();
  else return;
  event.preventDefault();
}

document.addEventListener("marks", showMarks);
document.addEventListener("htmx:after:swap", showMarks);
document.addEventListener("keydown", shortcuts);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
document.addEventListener("drop", dropped);
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) bring(event.clipboardData.files);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("#bring input[type=file]")) bring(event.target.files);
});
document.addEventListener("click", (event) => {
  const opens = event.target.closest("[data-opens]")?.dataset.opens;
  if (opens) document.getElementById(opens).showModal();
  if (event.target.closest("[data-for=none]")) marks.set([]);
});
window.addEventListener("pageshow", showMarks);
customElements.define("picture-grid", PictureGrid);
customElements.define("cutout-slider", CutoutSlider);
customElements.define("merge-stage", MergeStage);
customElements.define("live-job", LiveJob);
