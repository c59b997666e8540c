// Goes on through a page as a visitor would: scrolls to its end, window by window, then presses "load more".
// Returns whether there was something to press.
async () => {
  const WORDS = /\b(load|show|see|view|display|get) (\w+ )?more\b|^\+? ?more( (images|photos|pictures|results|items|works))?$|(показать|загрузить) (ещё|еще)|^(ещё|еще)$|mehr (laden|anzeigen)|(charger|voir|afficher) plus|(ver|cargar|mostrar) más|加载更多|もっと見る/i;
  const NAMES = /(^|[-_\s])(more|load-?more|show-?more|view-?more|see-?more)([-_\s]|$)/i;
  const TARGETS = "button, input[type=button], [role=button], a";
  const PAUSE_MS = 20;

  const bottom = () => document.documentElement.scrollHeight - window.innerHeight;
  for (let step = 0; step < 100 && window.scrollY + 1 < bottom(); step += 1) {
    window.scrollBy({ top: window.innerHeight * 0.9, behavior: "instant" });
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
  }

  const words = (element) => (element.value || element.textContent || element.getAttribute("aria-label") || "").trim();
  const leadsAway = (element) => /^(?!#|javascript:)./i.test(element.getAttribute("href") ?? "");
  const loadsMore = (element) =>
    (words(element).length < 60 && WORDS.test(words(element))) ||
    (!leadsAway(element) && (NAMES.test(element.id) || NAMES.test(element.className)));
  const submits = (element) => element.type === "submit" && element.form !== null; // that would leave the page
  const usable = (element) =>
    !element.disabled && !element.hidden && element.ariaDisabled !== "true" && !submits(element);
  const button = [...document.querySelectorAll(TARGETS)].find((element) => usable(element) && loadsMore(element));
  button?.click();
  return button !== undefined;
}
