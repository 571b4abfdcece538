/// How pages look: quiet, in the reader's own light or dark.
public enum HTMLStyle {
    /// How many colours there are, `--run0` and up.
    public static let runColors = 8

    static let css = """
        :root {
          color-scheme: light dark;
          --ground: #f7f7f5; --card: #ffffff; --ink: #1d1f23; --soft: #686d76; --line: #e4e4e0;
          --accent: #2f6fde; --second: #d9822b; --supervised: #dcefdc; --supervised-ink: #14421a;
          --run0: #2f6fde; --run1: #d9822b; --run2: #2b9a66; --run3: #b5446e; --run4: #7b61c9; --run5: #2596a8;
          --run6: #8a7a22; --run7: #7d8590; --first-position: #2456c8; --last-position: #f08c3a;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #131519; --card: #1b1e24; --ink: #e7e9ed; --soft: #989eaa; --line: #2c3038;
            --accent: #74a5ff; --second: #f0a95b; --supervised: #1d3a26; --supervised-ink: #b9e8c3;
            --run0: #74a5ff; --run1: #f0a95b; --run2: #5cc995; --run3: #ec7fa6; --run4: #ab97f2; --run5: #5cc6d8;
            --run6: #cdbb56; --run7: #a2a9b4; --first-position: #86b1ff; --last-position: #ff9a55;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; background: var(--ground); color: var(--ink);
          font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
        }
        main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
        h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
        h2 { font-size: 16px; margin: 0 0 2px; }
        p { margin: 0 0 12px; }
        .soft, figcaption { color: var(--soft); font-size: 13px; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 28px 0 12px; }
        .grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 12px; margin: 0 0 12px; }
        .grid2 .card { margin: 0; }
        .card {
          background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin: 0 0 12px;
          min-width: 0;
        }
        .tile { margin: 0; }
        .tile b { display: block; font-size: 24px; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
        .plot { margin: 16px 0 0; }
        .area { position: relative; height: 220px; margin: 0 6px 28px 44px; }
        .area svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
        .area span { position: absolute; color: var(--soft); font-size: 11.5px; line-height: 1; white-space: nowrap; }
        .area .y { right: calc(100% + 8px); transform: translateY(50%); font-variant-numeric: tabular-nums; }
        .area .x { top: calc(100% + 9px); transform: translateX(-50%); font-variant-numeric: tabular-nums; }
        .area path {
          fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round;
          vector-effect: non-scaling-stroke;
        }
        .area path.grid { stroke: var(--line); stroke-width: 1; }
        .area path.dots { stroke-width: 1.25; } .area path.dot { stroke-width: 7.5; }
        .area path.dashed { stroke-width: 1.25; stroke-dasharray: 5 5; }
        .bar { fill: var(--accent); } .hit { fill: transparent; } .hit:hover { fill: var(--ink); opacity: 0.09; }
        .keys { display: flex; flex-wrap: wrap; gap: 2px 18px; color: var(--soft); font-size: 13px; }
        .keys span, .run { white-space: nowrap; }
        .keys span::before, .run::before {
          content: ""; display: inline-block; width: 16px; border-top: 3px solid var(--c); margin: 0 7px 3px 0;
        }
        .keys .dashed::before { border-top: 2px dashed var(--c); }
        .keys .dots::before { width: 8px; height: 8px; border: 0; border-radius: 4px; background: var(--c); margin-bottom: 1px; }
        .stack { display: flex; height: 26px; margin: 14px 0 10px; border-radius: 6px; overflow: hidden; gap: 1px; }
        .stack span { background: var(--c); min-width: 2px; }
        .tip {
          position: fixed; display: none; z-index: 1; pointer-events: none; white-space: pre; padding: 7px 10px;
          border: 1px solid var(--line); border-radius: 7px; background: var(--card); box-shadow: 0 4px 18px #0003;
          font-size: 12.5px; line-height: 1.45; font-variant-numeric: tabular-nums;
        }
        .wide { overflow-x: auto; } .wide th:first-child { white-space: pre; }
        .best { font-weight: 600; } .best::after { content: " ●"; color: var(--run2); font-size: 10px; }
        table { width: 100%; border-collapse: collapse; margin-top: 10px; font-size: 14px; }
        .narrow { max-width: 420px; }
        th { text-align: left; font-weight: 500; color: var(--soft); }
        th, td { padding: 6px 10px 6px 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
        tr:first-child > * { border-top: 0; }
        .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; padding-right: 18px; width: 1%; }
        .share { display: block; height: 6px; border-radius: 3px; background: var(--second); min-width: 2px; margin-top: 8px; }
        details { margin-top: 10px; } summary { cursor: pointer; }
        summary:hover { color: var(--accent); }
        .text {
          white-space: pre-wrap; overflow-wrap: anywhere; max-height: 420px; overflow: auto; margin: 10px 0 4px;
          padding: 14px 16px; border: 1px solid var(--line); border-radius: 8px; background: var(--ground);
          font: 13px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
        }
        mark { background: var(--supervised); color: var(--supervised-ink); border-radius: 3px; box-decoration-break: clone; }
        code { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
        """

    /// Shows what a chart says at the pointer.
    static let script = """
        const tip = document.createElement("div");
        tip.className = "tip";
        document.body.append(tip);
        document.addEventListener("pointermove", event => {
          const hit = event.target.closest("[data-tip]");
          tip.style.display = hit ? "block" : "none";
          if (!hit) return;
          tip.textContent = hit.dataset.tip;
          const right = innerWidth - tip.offsetWidth - 8, below = innerHeight - tip.offsetHeight - 8;
          tip.style.left = Math.max(8, Math.min(event.clientX + 14, right)) + "px";
          tip.style.top = Math.max(8, Math.min(event.clientY + 14, below)) + "px";
        });
        """
}
