/// How the page looks: quiet, in the reader's own light or dark.
enum HTMLStyle {
    static let css = """
        :root {
          color-scheme: light dark;
          --ground: #f7f7f5; --card: #ffffff; --ink: #1d1f23; --soft: #686d76; --line: #e4e4e0;
          --accent: #2f6fde; --second: #d9822b; --said: #dcefdc; --said-ink: #14421a;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #131519; --card: #1b1e24; --ink: #e7e9ed; --soft: #989eaa; --line: #2c3038;
            --accent: #74a5ff; --second: #f0a95b; --said: #1d3a26; --said-ink: #b9e8c3;
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
        .grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 12px; }
        .card {
          background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin: 0 0 12px;
          min-width: 0; overflow-x: auto;
        }
        .tile { margin: 0; }
        .tile b { display: block; font-size: 24px; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
        svg { display: block; width: 100%; min-width: 480px; height: auto; margin-top: 10px; }
        .grid { stroke: var(--line); stroke-width: 1; }
        .axis { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
        .bar { fill: var(--accent); } .bar:hover { fill: var(--second); }
        .curve { fill: none; stroke: var(--accent); stroke-width: 2.25; stroke-linejoin: round; }
        .dot { fill: var(--accent); } .curve.curve1 { stroke: var(--second); } .dot.curve1 { fill: var(--second); }
        .key::before { content: ""; display: inline-block; width: 18px; height: 3px; margin: 0 6px 3px 0; background: var(--accent); }
        .key.key1::before { background: var(--second); } .key { margin-right: 18px; }
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
        mark { background: var(--said); color: var(--said-ink); border-radius: 3px; box-decoration-break: clone; }
        code { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
        """
}
