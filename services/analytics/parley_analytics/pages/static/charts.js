// Charts from the tables beside them: what is drawn is what the table says. Without this file the tables remain.
/* global uPlot */
const LANGUAGE = document.documentElement.lang;
const drawn = new Map();

export function drawAll(within) {
  for (const figure of within.querySelectorAll("figure.chart")) draw(figure);
}

export function forgetAll() {
  for (const [figure, one] of drawn) {
    one.watching.disconnect();
    one.plot.destroy();
    drawn.delete(figure);
  }
}

export function redrawAll() {
  forgetAll();
  drawAll(document);
}

function draw(figure) {
  const table = figure.querySelector("table"), place = figure.querySelector(".plot");
  const read = reading(table);
  if (!read.at.length) return;
  const size = () => ({ width: Math.max(place.clientWidth, 120), height: Math.max(place.clientHeight, 120) });
  const plot = new uPlot({ ...options(figure, read), ...size() }, read.data, place);
  const watching = new ResizeObserver(() => { if (place.clientWidth) plot.setSize(size()); });
  watching.observe(place);
  place.onkeydown = (pressed) => steer(pressed, plot);
  say(figure, null, read.labels, read.spoken);
  drawn.set(figure, { plot, watching });
}

// --- what the table says ---

function reading(table) {
  const heads = [...table.querySelectorAll("thead th[data-kind]")];
  const rows = [...table.querySelectorAll("tbody tr")];
  const at = rows.map((row) => Number(row.firstElementChild.dataset.t));
  const labels = rows.map((row) => row.firstElementChild.textContent);
  const columns = heads.map((head, place) => {
    const cells = rows.map((row) => row.children[place + 1]);
    const numbers = (name) => cells.map((cell) => cell.dataset[name] === "" ? null : Number(cell.dataset[name]));
    return { name: head.textContent, kind: head.dataset.kind, tint: head.dataset.tint, v: numbers("v"), low: numbers("low"), high: numbers("high"), said: cells.map((cell) => cell.textContent) };
  });
  const spoken = [...columns];
  columns.sort((one, other) => (one.kind === "line") - (other.kind === "line")); // bars lie behind
  const data = [at];
  for (const column of columns) column.kind === "bars" ? data.push(column.v) : data.push(column.low, column.high, column.v);
  return { at, labels, columns, spoken, data };
}

// --- how it looks ---

function colour(figure, name) {
  const probe = document.createElement("i");
  probe.className = name;
  figure.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const faint = (told, share) => told.replace("rgb(", "rgba(").replace(")", `, ${share})`);

function options(figure, { at, labels, columns, spoken: inOrder }) {
  const { unit, zone, bucket } = figure.dataset, bars = columns.find((one) => one.kind === "bars"), alone = columns.length === 1;
  const soft = colour(figure, "soft"), grid = faint(soft, 0.16), font = `12px ${getComputedStyle(figure).fontFamily}`;
  const series = [{}], bands = [];
  for (const column of columns) {
    const tint = colour(figure, `tint-${column.tint}`);
    if (column.kind === "bars") {
      series.push({ scale: alone ? "y" : "n", paths: uPlot.paths.bars({ size: [0.7, 40], radius: 0.15 }), fill: faint(tint, alone ? 0.8 : 0.28), width: 0, points: { show: false } });
      continue;
    }
    const edge = { scale: "y", stroke: null, width: 0, points: { show: false } };
    series.push(edge, { ...edge }, { scale: "y", stroke: tint, width: 2, spanGaps: false, points: { show: at.length <= 45, size: 5, fill: tint, stroke: tint } });
    bands.push({ series: [series.length - 2, series.length - 3], fill: faint(tint, columns.length > 3 ? 0.1 : 0.16) });
  }
  const told = columns.flatMap((one) => one.kind === "bars" && !alone ? [] : one.v).filter((one) => one !== null);
  const ends = columns.flatMap((one) => [...one.low, ...one.high]).filter((one) => one !== null);
  const axis = { stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  const wide = Math.max(...told.map((one) => spoken(one, unit, told).length), 4) * 7 + 14;
  return {
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    legend: { show: false },
    padding: [10, 26, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    series, bands,
    scales: { x: { time: true, range: (_, low, high) => margins(low, high, at, Boolean(bars)) }, y: { range: () => reach(unit, told, ends) }, n: { range: (_, __, high) => [0, (high || 1) * 2.6] } },
    axes: [
      { ...axis, grid: { show: false }, space: 64, size: 30, values: (_, splits) => splits.map((one) => moment(one, zone, bucket)) },
      { ...axis, size: wide, space: 44, values: (_, splits) => splits.map((one) => spoken(one, unit, splits)) },
    ],
    hooks: { setCursor: [(plot) => say(figure, plot.cursor.idx, labels, inOrder)], draw: unit === "points" ? [zeroLine(soft)] : [] },
  };
}

function margins(low, high, at, bars) {
  const step = at.length > 1 ? Math.min(...at.slice(1).map((one, place) => one - at[place])) : 3600;
  return bars ? [low - step * 0.6, high + step * 0.6] : at.length > 1 ? [low, high] : [low - step, high + step];
}

// The band of a day with five people must not flatten the month: ends count up to three times the highest value.
function reach(unit, told, ends) {
  const top = Math.max(...told, 0), bottom = Math.min(...told, 0);
  if (unit === "points") {
    const most = Math.min(Math.max(Math.abs(top), Math.abs(bottom), 0.001) * 2.5, Math.max(...ends.map(Math.abs), 0.001)) * 1.08;
    return [bottom < 0 || Math.min(...ends) < 0 ? -most : -most / 8, top > 0 || Math.max(...ends) > 0 ? most : most / 8];
  }
  if (unit === "percent" && Math.min(...told) > 0.8) return [Math.max(1 - (1 - Math.min(...told)) * 2, 0), 1]; // what is delivered: near 1
  const high = Math.min(Math.max(top, ...ends), Math.max(top * 3, unit === "percent" ? 0.001 : 1)) * 1.06 || 1;
  return [0, unit === "percent" ? Math.min(high, 1) : high];
}

const zeroLine = (ink) => (plot) => {
  const { ctx, bbox } = plot, y = Math.round(plot.valToPos(0, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
};

// --- how it is said ---

function spoken(value, unit, all) {
  if (value === null) return "";
  const size = Math.max(...all.map(Math.abs).filter(Number.isFinite), 0);
  if (unit === "percent" || unit === "points") {
    const places = size >= 0.2 ? 0 : size >= 0.01 ? 1 : 2;
    return `${unit === "points" && value > 0 ? "+" : ""}${(value * 100).toFixed(places).replace("-", "−")}${unit === "percent" ? "%" : ""}`;
  }
  if (unit === "seconds") return value >= 86400 ? `${Math.round(value / 8640) / 10} d` : value >= 3600 ? `${Math.round(value / 360) / 10} h` : value >= 60 ? `${Math.round(value / 6) / 10} min` : `${Math.round(value)} s`;
  return new Intl.NumberFormat(LANGUAGE, { notation: size >= 10000 ? "compact" : "standard", maximumFractionDigits: 1 }).format(value);
}

function moment(seconds, zone, bucket) {
  const at = new Date(seconds * 1000);
  const format = (chosen) => new Intl.DateTimeFormat(LANGUAGE === "en" ? "en-GB" : LANGUAGE, { timeZone: zone, ...chosen }).format(at);
  if (bucket === "month") return format({ month: "short", year: "2-digit" });
  const midnight = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) === "00:00";
  return bucket === "hour" && !midnight ? format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) : format({ day: "numeric", month: "short" });
}

function say(figure, place, labels, columns) {
  const line = figure.querySelector(".reading");
  const there = place ?? labels.length - 1;
  const text = `${labels[there]}: ${columns.map((one) => `${one.name} ${one.said[there]}`).join(" · ")}`;
  if (line.textContent !== text) line.textContent = text;
}

function steer(pressed, plot) {
  const last = plot.data[0].length - 1, now = plot.cursor.idx ?? (pressed.key === "ArrowLeft" ? last + 1 : -1);
  const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[pressed.key];
  if (pressed.key === "Escape") return plot.setCursor({ left: -10, top: -10 });
  if (next === undefined) return undefined;
  pressed.preventDefault();
  const place = Math.min(Math.max(next, 0), last);
  return plot.setCursor({ left: plot.valToPos(plot.data[0][place], "x"), top: 10 });
}
