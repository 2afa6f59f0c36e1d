"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by("data").textContent);
  const cards = data.entries.map((entry, i) => by("entry-" + i));
  const count = cards.length;
  if (!count) return;
  const WORDS = { yes: "Same person", no: "Someone else", unsure: "Not sure" };
  const SIGNS = { yes: "✓", no: "✕", unsure: "?" };
  const place = "personsearch judgements " + data.name;
  const store = (() => { try { return window.localStorage; } catch (refused) { return null; } })();
  let said = new Map();
  let now = 0;
  let shortcuts = true;

  try {
    const kept = JSON.parse(store.getItem(place));
    for (const [i, word] of kept) if (cards[i] && WORDS[word]) said.set(i, word);
  } catch (nothing) { said = new Map(); }

  function keep() {
    try {
      if (said.size) store.setItem(place, JSON.stringify([...said])); else store.removeItem(place);
    } catch (full) { /* the page works without, until it is closed */ }
  }

  by("now-query").append(by("query").querySelector(".view img").cloneNode());

  // One thumbnail an entry, to see where one is and to jump.
  const strip = by("strip");
  const thumbs = cards.map((card, i) => {
    const button = document.createElement("button");
    const crop = card.querySelector(".view img");
    button.type = "button";
    if (crop) {
      const image = crop.cloneNode();
      image.alt = "";
      button.append(image);
    }
    const sign = document.createElement("span");
    sign.className = "sign";
    const rank = document.createElement("span");
    rank.className = "number";
    rank.textContent = card.dataset.rank;
    button.append(rank, sign);
    button.addEventListener("click", () => show(i, true));
    const item = document.createElement("li");
    if (card.dataset.kind === "rejected") item.className = "rejected";
    item.append(button);
    strip.append(item);
    return button;
  });

  function named(card) {
    return (card.dataset.kind === "rejected" ? "Left out, rank " : "Hit ") + card.dataset.rank;
  }

  function show(i, jump) {
    now = Math.min(Math.max(i, 0), count - 1);
    const card = cards[now];
    const views = card.querySelectorAll(".view");
    for (const [name, view] of [["now-crop", views[0]], ["now-scene", views[1]]]) {
      const frame = by(name);
      frame.replaceChildren();
      if (view) {
        for (const part of view.children) {
          const copy = part.cloneNode(true);
          if (copy.tagName.toLowerCase() === "svg") copy.setAttribute("preserveAspectRatio", "xMidYMid meet");
          frame.append(copy);
        }
      }
    }
    const gone = card.querySelector(".gone");
    if (gone) {
      const text = document.createElement("p");
      text.className = "missing";
      text.textContent = gone.textContent;
      by("now-scene").append(text);
    }
    by("now-name").textContent = named(card);
    const value = card.querySelector(".value");
    by("now-value").replaceChildren(...[...value.childNodes].map((part) => part.cloneNode(true)));
    by("now-place").replaceChildren(...[...card.querySelector("footer").childNodes].map((part) => part.cloneNode(true)));
    mark();
    if (jump) by("review").scrollIntoView({ block: "nearest" });
    const box = thumbs[now].parentElement;
    strip.scrollLeft = box.offsetLeft - (strip.clientWidth - box.clientWidth) / 2;
    tell();
  }

  function tell() {
    const word = said.get(now);
    const text = cards[now].querySelector(".value").innerText.replace(/\s+/g, " ");
    by("said").textContent = named(cards[now]) + " of " + count + ", " + text + ", " + (word ? WORDS[word] : "not judged");
  }

  function mark() {
    cards.forEach((card, i) => {
      const word = said.get(i) || "";
      const badge = card.querySelector(".judged");
      badge.hidden = !word;
      badge.className = "judged badge " + word;
      badge.textContent = word ? SIGNS[word] + " " + WORDS[word] : "";
      const thumb = thumbs[i];
      thumb.className = word;
      thumb.querySelector(".sign").textContent = word ? SIGNS[word] : "";
      thumb.setAttribute("aria-label", named(card) + (word ? ", " + WORDS[word] : ", not judged"));
      if (i === now) thumb.setAttribute("aria-current", "true"); else thumb.removeAttribute("aria-current");
    });
    for (const dot of document.querySelectorAll(".rug .dot")) {
      const current = cards[now].dataset.rank === dot.dataset.rank;
      dot.classList.toggle("current", current);
      if (current) dot.parentNode.append(dot);
    }
    for (const word of Object.keys(WORDS)) by(word).setAttribute("aria-pressed", String(said.get(now) === word));
    by("stage").className = "stage card " + (said.get(now) || "");
    by("previous").disabled = now === 0;
    by("next").disabled = now === count - 1;
    by("judged-count").textContent = said.size + " of " + count + " judged";
    by("save").disabled = ![...said.values()].some((word) => word !== "unsure");
    by("clear").disabled = !said.size;
  }

  function judge(word) {
    if (said.get(now) === word) { said.delete(now); keep(); mark(); tell(); return; }
    said.set(now, word);
    keep();
    if (now < count - 1) show(now + 1, true); else { mark(); tell(); }
  }

  function judgements() {
    const judged = [];
    data.entries.forEach((entry, i) => {
      const word = said.get(i);
      if (word === "yes" || word === "no") judged.push({ ...entry, same: word === "yes" });
    });
    return JSON.stringify({ ...data.head, judged }, null, 1) + "\n";
  }

  function save() {
    if (by("save").disabled) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([judgements()], { type: "application/json" }));
    link.download = "judgements.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    by("said").textContent = "Saved as judgements.json";
  }

  const help = by("help");
  const acts = {
    j: () => show(now + 1, true), ArrowRight: () => show(now + 1, true),
    k: () => show(now - 1, true), ArrowLeft: () => show(now - 1, true),
    y: () => judge("yes"), n: () => judge("no"), u: () => judge("unsure"),
    s: save, "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || help.open) return;
    if (event.target.closest && event.target.closest("textarea, input, select")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = acts[key];
    if (!act || (key.length === 1 && !shortcuts)) return;
    event.preventDefault();
    act();
  });
  for (const word of Object.keys(WORDS)) by(word).addEventListener("click", () => judge(word));
  by("previous").addEventListener("click", () => show(now - 1, true));
  by("next").addEventListener("click", () => show(now + 1, true));
  by("save").addEventListener("click", save);
  by("help-open").addEventListener("click", () => help.showModal());
  by("help-close").addEventListener("click", () => help.close());
  by("shortcuts").addEventListener("change", (event) => { shortcuts = event.target.checked; });
  by("clear").addEventListener("click", () => {
    if (!window.confirm("Forget all judgements on this page?")) return;
    said = new Map();
    keep();
    show(0, true);
  });
  cards.forEach((card, i) => {
    const media = card.querySelector(".media, .gone");
    const link = document.createElement("button");
    link.type = "button";
    link.className = "judge-here";
    link.textContent = "Judge";
    link.setAttribute("aria-label", "Judge " + named(card));
    link.addEventListener("click", () => { show(i, true); by("stage").focus({ preventScroll: true }); });
    card.querySelector("header").append(link);
    media.addEventListener("click", () => link.click());
  });
  by("review").hidden = false;
  show(0, false);
})();
