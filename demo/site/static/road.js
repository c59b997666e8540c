// The road is endless for as long as the feed names a next page.
const road = document.querySelector("#road");
const horizon = document.querySelector("#horizon");

function plate({ src, thumbnail, caption, width, height, cutOut }) {
  const figure = document.createElement("figure");
  figure.className = cutOut ? "plate cut-out" : "plate";
  figure.innerHTML = '<div class="frame"><a><img></a></div><figcaption><strong></strong><span></span></figcaption>';
  figure.querySelector("a").href = src;
  Object.assign(figure.querySelector("img"), { src: thumbnail, alt: caption });
  figure.querySelector("strong").textContent = caption.replace(/[.!]$/, "");
  figure.querySelector("span").textContent = `${width} × ${height}`;
  return figure;
}

const arriving = new IntersectionObserver(async (entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  arriving.unobserve(horizon);
  const feed = await (await fetch(`/road/feed.json?page=${horizon.dataset.next}`)).json();
  road.append(...feed.items.map(plate));
  if (feed.next === null) {
    horizon.textContent = "The road ends here.";
    return;
  }
  horizon.dataset.next = feed.next;
  arriving.observe(horizon);
}, { rootMargin: "150px" });

arriving.observe(horizon);
