// Reads a rendered page: what it says of itself, and every element that may name a picture or another page.
// It judges nothing; page_images.py and page_links.py do. Values are attributes as written, relative URLs included.
() => {
  const attribute = (element, ...names) => names.map((name) => element.getAttribute(name)).find((value) => value) ?? "";
  const attributes = (element, ...names) => names.map((name) => element.getAttribute(name)).filter((value) => value);
  const text = (element) => (element.textContent ?? "").replace(/\s+/g, " ").trim().slice(0, 300);

  // Open shadow roots are part of what a visitor sees.
  function* elements(root) {
    for (const element of root.querySelectorAll("*")) {
      yield element;
      if (element.shadowRoot) yield* elements(element.shadowRoot);
    }
  }

  const image = (element) => ({
    kind: "img",
    src: attribute(element, "src"),
    lazy: attributes(element, "data-src", "data-original", "data-lazy-src"),
    srcsets: [
      ...(element.closest("picture")?.querySelectorAll("source") ?? []),
      element,
    ].flatMap((source) => attributes(source, "srcset", "data-srcset", "data-lazy-srcset")),
    link: element.closest("a[href]")?.getAttribute("href") ?? "",
    alt: attribute(element, "alt", "title", "aria-label"),
    width: attribute(element, "width"),
    height: attribute(element, "height"),
  });

  const anchor = (element) => ({
    href: attribute(element, "href"),
    isAnchor: element.localName === "a",
    rel: attribute(element, "rel").toLowerCase(),
    text: text(element),
    isInPager: element.closest("[class*=paginat i], [class*=pager i], [class*=page-numbers i], [aria-label*=paginat i]") !== null,
    holdsImage: element.querySelector("img") !== null,
  });

  const images = [];
  const links = [];
  const read = (root) => {
    for (const element of elements(root)) {
      const name = element.localName;
      if (name === "img") images.push(image(element));
      else if (name === "a" && element.hasAttribute("href")) {
        const link = anchor(element);
        links.push(link);
        if (!link.holdsImage) images.push({ kind: "link", link: link.href, alt: link.text });
      } else if (name === "link" && element.hasAttribute("href")) links.push(anchor(element));
      // With scripts on, the content of <noscript> is text.
      else if (name === "noscript" && element.childElementCount === 0 && element.textContent.includes("<"))
        read(new DOMParser().parseFromString(element.textContent, "text/html"));
    }
  };
  read(document);

  const metas = [...document.querySelectorAll("meta[content]")].map((element) => ({
    name: attribute(element, "property", "name").toLowerCase(),
    content: element.content,
  }));
  return {
    base: document.baseURI,
    title: document.title,
    metas,
    images,
    links,
    jsonLd: [...document.querySelectorAll('script[type="application/ld+json" i]')].map((script) => script.textContent),
  };
}
