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

const menu = document.querySelector(".menu details");
menu.addEventListener("click", (event) => {
  if (event.target.closest("a")) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// All results: unpacked from the block in the page, filtered, sorted, 200 rows at a time.
const AT_ONCE = 200;
const packed = document.getElementById("packed");

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// One object a row, with the class of its case of each kind under the name of the kind.
function rowsOf({ implementations, cases, statuses, checks, causes, kinds, rows }) {
  const texts = cases.split("\n");
  const [names, numbers, status, sets, why] = rows;
  return names.map((name, place) => ({
    place,
    name: implementations[name],
    case: texts[numbers[place]],
    status: statuses[status[place]][0],
    label: statuses[status[place]][1],
    rank: status[place],
    checks: checks[sets[place]],
    cause: causes[why[place]],
    of(kind) {
      const level = kinds[kind][1].charCodeAt(numbers[place]) - 48;
      return level < 0 ? "" : kinds[kind][0][level];
    },
  }));
}

const FIELDS = {
  __proto__: null,
  impl: (row) => [row.name],
  implementation: (row) => [row.name],
  case: (row) => [row.case],
  check: (row) => row.checks.split(","),
  checks: (row) => row.checks.split(","),
  status: (row) => [row.status, row.label],
  cause: (row) => [row.cause],
};

const TERM = /(-?)(?:([\w-]+):)?(?:"([^"]*)"|(\S+))/g;

// A test of a row for each term of a query.
function termsOf(query, kinds) {
  const terms = [];
  for (const [whole, minus, key, quoted, plain] of query.matchAll(TERM)) {
    const ofKind = key && Object.hasOwn(kinds, key) ? (row) => [row.of(key)] : undefined;
    const field = FIELDS[key?.toLowerCase()] ?? ofKind;
    let test;
    if (!field) {
      const word = (key ? whole.slice(minus.length) : (quoted ?? plain)).toLowerCase();
      test = (row) => textOf(row).includes(word);
    } else if (quoted !== undefined) {
      const value = quoted.toLowerCase();
      test = (row) => field(row).some((text) => text.toLowerCase() === value);
    } else {
      const values = plain.toLowerCase().split(",").filter(Boolean);
      test = (row) =>
        field(row).some((text) => values.some((value) => text.toLowerCase().includes(value)));
    }
    terms.push(minus ? (row) => !test(row) : test);
  }
  return terms;
}

// A sentence on each key and status of a query that there is not. What has a colon may be a word.
function strangersOf(query, { kinds, statuses }, rows) {
  const found = new Set();
  for (const [, , key, quoted, plain] of query.matchAll(TERM)) {
    const name = key?.toLowerCase();
    const value = (quoted ?? plain).toLowerCase();
    if (name === "status") {
      for (const one of quoted === undefined ? value.split(",") : [value]) {
        const fits = (text) => (quoted === undefined ? text.includes(one) : text === one);
        if (statuses.flat().some(fits)) continue;
        found.add(`There is no status “${one}”, only ${inWords(statuses.map((s) => s[1]))}.`);
      }
    } else if (key && !FIELDS[name] && !Object.hasOwn(kinds, key)) {
      if (rows.some((row) => textOf(row).includes(`${name}:${value}`))) continue;
      const keys = [...Object.keys(FIELDS), ...Object.keys(kinds)];
      found.add(`There is no key “${key}”, only ${inWords(keys)}.`);
    }
  }
  return [...found];
}

function inWords(names) {
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function textOf(row) {
  row.text ??= `${row.name} ${row.case} ${row.checks} ${row.label} ${row.cause}`.toLowerCase();
  return row.text;
}

const ORDERS = {
  status: (a, b) => a.rank - b.rank,
  implementation: (a, b) => compared(a.name, b.name),
  case: (a, b) => compared(a.case, b.case),
  checks: (a, b) => compared(a.checks, b.checks),
};

function compared(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function listAll(data) {
  const rows = rowsOf(data);
  const input = document.getElementById("query");
  const body = document.getElementById("listed");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const heads = [...document.querySelectorAll("th[data-sort]")];
  let matching = rows;
  let strangers = [];
  let shown = 0;
  let sort = "";

  function show() {
    const part = matching.slice(shown, shown + AT_ONCE);
    body.append(...part.map(element));
    shown += part.length;
    const left = matching.length - shown;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, AT_ONCE).toLocaleString("en")} more`;
    const of = `${matching.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
    const matches =
      matching.length === 0
        ? `No row of ${rows.length.toLocaleString("en")} matches.`
        : `${of}${left ? `, the first ${shown.toLocaleString("en")} are shown` : ""}`;
    found.textContent = [...strangers, matches].join(" ");
  }

  function element(row) {
    const made = document.getElementById("a-row").content.cloneNode(true);
    const status = made.querySelector(".status");
    status.classList.add(row.status);
    status.querySelector("use").setAttribute("href", `#i-${row.status}`);
    status.lastChild.textContent = row.label;
    made.querySelector(".a-name").textContent = row.name;
    made.querySelector("code").textContent = row.case;
    const [checks, cause] = made.querySelectorAll(".a-checks span");
    checks.textContent = row.checks.replaceAll(",", ", ");
    cause.textContent = row.cause;
    return made;
  }

  function apply() {
    const terms = termsOf(input.value, data.kinds);
    strangers = strangersOf(input.value, data, rows);
    matching = rows.filter((row) => terms.every((term) => term(row)));
    const order = ORDERS[sort.replace("-", "")];
    if (order) {
      const sign = sort.startsWith("-") ? -1 : 1;
      matching.sort((a, b) => sign * order(a, b) || a.place - b.place);
    }
    for (const head of heads) {
      if (head.dataset.sort === sort) head.setAttribute("aria-sort", "ascending");
      else if (`-${head.dataset.sort}` === sort) head.setAttribute("aria-sort", "descending");
      else head.removeAttribute("aria-sort");
    }
    body.replaceChildren();
    shown = 0;
    show();
  }

  // The query and the order stand in the address, so that a link leads to what was seen.
  function address() {
    const asked = new URLSearchParams();
    if (input.value.trim()) asked.set("q", input.value.trim());
    if (sort) asked.set("sort", sort);
    return `#${asked.size ? asked : "results"}`;
  }

  function remember() {
    try {
      history.replaceState(null, "", address());
    } catch {
      // A page within a page may have no address of its own.
    }
  }

  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("q") && !asked.has("sort")) return false;
    input.value = asked.get("q") ?? "";
    sort = asked.get("sort") ?? "";
    return true;
  }

  function follow() {
    if (!read()) return;
    apply();
    document.getElementById("results").scrollIntoView();
  }

  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      apply();
      remember();
    }, 150);
  });
  document.getElementById("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    apply();
    remember();
  });
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const key = head.dataset.sort;
      sort = sort === key ? `-${key}` : sort === `-${key}` ? "" : key;
      apply();
      remember();
    });
  }
  more.addEventListener("click", () => {
    const first = shown;
    show();
    body.rows[first]?.querySelector("td").setAttribute("tabindex", "-1");
    body.rows[first]?.querySelector("td").focus({ preventScroll: true });
  });
  addEventListener("hashchange", follow);
  document.getElementById("list").hidden = false;
  if (read()) follow();
  else apply();
}

// The terms of a cell are its own, those of its row, and those of its column.
function leadToResults() {
  for (const link of document.querySelectorAll("td a[data-q]")) {
    const cell = link.closest("td");
    const table = cell.closest("table");
    const head = table.tHead.rows[0].cells[cell.cellIndex];
    const terms = [head.dataset.q, cell.parentElement.dataset.q, link.dataset.q];
    link.href = `#${new URLSearchParams({ q: terms.filter(Boolean).join(" ") })}`;
  }
}

if (packed) {
  const unlisted = document.getElementById("unlisted");
  unpacked(JSON.parse(packed.textContent)).then(
    (data) => {
      unlisted.hidden = true;
      leadToResults();
      listAll(data);
    },
    () => {
      unlisted.textContent = "This browser cannot unpack the list; a newer one can.";
    },
  );
}
