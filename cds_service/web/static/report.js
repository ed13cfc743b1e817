// Draws the report's plots from the figures in the page, in the page's own colors, light and dark.
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
let drawn = [];

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function bars(plot, horizontal, ink) {
  const axis = { stacked: true, ticks: { color: ink, precision: 0 }, grid: { color: color("--line") } };
  return {
    type: "bar",
    data: {
      labels: plot.labels,
      datasets: plot.series.map((series) => ({
        label: series.label,
        data: series.values,
        type: series.line ? "line" : "bar",
        yAxisID: series.line ? "calls" : undefined,
        backgroundColor: color(series.color),
        borderColor: color(series.color),
        maxBarThickness: 44,
      })),
    },
    options: {
      indexAxis: horizontal ? "y" : "x",
      animation: false,
      maintainAspectRatio: false,
      plugins: { legend: { display: plot.series.length > 1, labels: { color: ink } } },
      scales: {
        x: axis,
        y: axis,
        ...(plot.series.some((series) => series.line)
          ? { calls: { position: "right", beginAtZero: true, ticks: { color: ink, precision: 0 }, grid: { display: false },
              title: { display: true, text: "Calls", color: ink } } }
          : {}),
      },
    },
  };
}

function draw() {
  drawn.forEach((chart) => chart.destroy());
  const ink = color("--text");
  drawn = [...document.querySelectorAll("canvas[data-plot]")].map((canvas) => {
    const plot = figures[canvas.dataset.plot];
    if (plot.horizontal) canvas.parentElement.style.height = `${60 + 34 * plot.labels.length}px`;
    return new Chart(canvas, bars(plot, plot.horizontal, ink));
  });
}

draw();
dark.addEventListener("change", draw);
