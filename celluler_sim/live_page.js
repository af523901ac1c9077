
/* celluler_sim: draws the pictures of a page from the data beside them. Their images stay where this does not run, and in print. */
(function () {
  "use strict";
  if (typeof document === "undefined") return;
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  const AT_NIGHT = {
    "#1f2933": "#e4e7eb", "#7b8794": "#9aa5b1", "#e4e7eb": "#2e3740", "#ffffff": "#14191f", "#000000": "#f5f7fa",
    "#0072b2": "#4aa3df", "#d55e00": "#f08a3c", "#009e73": "#2cc596"
  };
  const HEX = /^#[0-9a-f]{6}([0-9a-f]{2})?$/;

  function tint(value) {
    if (typeof value === "string" && HEX.test(value)) {
      const base = value.slice(0, 7), hex = night.matches && AT_NIGHT[base] || base;
      if (value.length === 7) return hex;
      const part = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
      return "rgba(" + part.join(",") + "," + (parseInt(value.slice(7), 16) / 255).toFixed(3) + ")";
    }
    if (Array.isArray(value)) return value.map(tint);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, tint(entry)]));
    }
    return value;
  }

  function draw(figure) {
    const image = figure.querySelector("img"), found = JSON.parse(figure.querySelector("script").textContent);
    let stage = figure.querySelector(".stage");
    if (!stage) {
      stage = document.createElement("div");
      stage.className = "stage";
      stage.setAttribute("role", "img");
      stage.setAttribute("aria-label", image.alt);
      stage.style.aspectRatio = String(found.ratio);
      image.after(stage);
    }
    const layout = Object.assign(tint(found.layout), {
      autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { namelength: -1, bgcolor: tint("#ffffff"), font: { color: tint("#1f2933") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: tint("#7b8794"), activecolor: tint("#1f2933") }
    });
    layout.font.family = getComputedStyle(document.body).fontFamily;
    const how = { /* these buttons and no others: one of plotly's own sends the data to a server */
      responsive: true, displaylogo: false, doubleClick: "reset",
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
      toImageButtonOptions: { filename: figure.id || "picture" }
    };
    figure.classList.add("drawn"); /* first, so that the stage has a size */
    return window.Plotly.react(stage, tint(found.data), layout, how);
  }

  function start() {
    const figures = Array.from(document.querySelectorAll("figure.live")), seen = new Set();
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watch.unobserve(entry.target);
        seen.add(entry.target);
        Promise.resolve(entry.target).then(draw).catch((error) => {
          entry.target.classList.remove("drawn"); /* the image stays */
          console.error(error);
        });
      }
    }, { rootMargin: "600px" });
    figures.forEach((figure) => watch.observe(figure));
    night.addEventListener("change", () => seen.forEach(draw));
    const hint = document.querySelector(".live-hint");
    if (hint) hint.textContent = hint.dataset.ready;
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
