// Replaces the page's main part with a newer one, every two seconds. Without it the page works the same, and is loaded anew.
"use strict";
async function refresh() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = document.getElementById("status"), next = page.getElementById("status");
    if (!next || now.contains(document.activeElement)) return; // somebody is about to press a button
    now.replaceWith(next);
    document.querySelector("header p").replaceWith(page.querySelector("header p"));
    document.body.classList.remove("away");
  } catch {
    document.body.classList.add("away"); // the node is gone, for now
  }
}
setInterval(() => { if (!document.hidden) refresh(); }, 2000);
