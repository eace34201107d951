"use strict";

// Copy buttons are of no use without a script, so they start hidden.
const said = document.getElementById("said");

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // The clipboard may be refused to a local file; a selection can still be copied.
    getSelection().selectAllChildren(source);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  said.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
    said.textContent = "";
  }, 1500);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

const links = new Map(
  [...document.querySelectorAll(".contents a")].map((a) => [a.getAttribute("href").slice(1), a]),
);
const visible = new Set();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target.id);
      else visible.delete(target.id);
    }
    const current = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  },
  { rootMargin: "-15% 0px -70% 0px" },
);
for (const id of links.keys()) observer.observe(document.getElementById(id));
