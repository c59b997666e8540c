// Pictures below the fold are fetched when they come near the window.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    target.addEventListener("load", () => target.classList.add("here"), { once: true });
    if (target.dataset.srcset) target.srcset = target.dataset.srcset;
    target.src = target.dataset.src;
  }
}, { rootMargin: "200px" });

document.querySelectorAll("img.lazy").forEach((image) => near.observe(image));
