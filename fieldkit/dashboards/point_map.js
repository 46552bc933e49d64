// The map of a dashboard: outlines, hot cells, clusters and many points on Leaflet's canvas.
//
// `L` is Leaflet, put in front of this file by point_map.py. What people wrote enters the page through
// textContent only.

const MAP_COLOURS = {
  // Okabe-Ito vermillion and orange, told apart by lightness too, so that colour blindness does not matter.
  hot: [
    { below: 0.01, fill: "#b3310b", opacity: 0.66 },
    { below: 0.05, fill: "#ef9a2f", opacity: 0.6 },
  ],
  point: "rgba(24, 78, 119, 0.55)",
  area: { color: "#7d8b99", weight: 1.4, fillColor: "#fbfaf6", fillOpacity: 1 },
  cluster: "#16324f",
};

function textElement(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// A layer of its own for the points: one canvas, redrawn as a whole, with a grid to find the point under a click.
const PointLayer = L.Layer.extend({
  onAdd(map) {
    this._canvas = L.DomUtil.create("canvas", "fk-points leaflet-zoom-hide", map.getPane("fk-points"));
    map.on("moveend zoomend resize", this.redraw, this);
    this.redraw();
  },
  onRemove(map) {
    map.off("moveend zoomend resize", this.redraw, this);
    this._canvas.remove();
  },
  setPoints(points) {
    this._points = points;
    if (this._map) this.redraw();
    return this;
  },
  redraw() {
    const map = this._map, size = map.getSize(), ratio = window.devicePixelRatio || 1;
    const canvas = this._canvas;
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    canvas.width = size.x * ratio;
    canvas.height = size.y * ratio;
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    this._grid = new Map();
    this._drawn = 0;
    if (!this._points || !this._points.x.length || !size.x) return;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = MAP_COLOURS.point;
    const scale = 256 * 2 ** map.getZoom(), corner = map.project(map.containerPointToLatLng([0, 0]));
    const { x, y } = this._points, radius = this._radius(x.length, map.getZoom());
    for (let i = 0; i < x.length; i++) {
      const px = x[i] * scale - corner.x, py = y[i] * scale - corner.y;
      if (px < -4 || py < -4 || px > size.x + 4 || py > size.y + 4) continue;
      this._drawn++;
      context.fillRect(px - radius, py - radius, 2 * radius, 2 * radius);
      const key = (px >> 4) * 65536 + (py >> 4), cell = this._grid.get(key);
      if (cell) cell.push(i, px, py);
      else this._grid.set(key, [i, px, py]);
    }
  },
  _radius(count, zoom) {
    const base = count > 20000 ? 1 : count > 3000 ? 1.5 : 2.2;
    return zoom >= 14 ? base + 1 : base;
  },
  nearest(at, within = 9) {
    let best = -1, closest = within * within;
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        const cell = this._grid.get(((at.x >> 4) + dx) * 65536 + ((at.y >> 4) + dy)) || [];
        for (let k = 0; k < cell.length; k += 3) {
          const distance = (cell[k + 1] - at.x) ** 2 + (cell[k + 2] - at.y) ** 2;
          if (distance < closest) [closest, best] = [distance, cell[k]];
        }
      }
    }
    return best;
  },
});

// Coordinates come as Float32 offsets in degrees from an origin; Mercator in Float64, once per filter.
function projectPoints(view, origin) {
  const offsets = view && view.byteLength
    ? new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength))
    : new Float32Array(0);
  const count = offsets.length / 2, x = new Float64Array(count), y = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const lon = origin[0] + offsets[2 * i], lat = origin[1] + offsets[2 * i + 1];
    const sine = Math.sin((lat * Math.PI) / 180);
    x[i] = lon / 360 + 0.5;
    y[i] = 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
  }
  return { x, y };
}

const flip = (ring) => ring.map(([lon, lat]) => [lat, lon]);

function drawAreas(group, areas, renderer) {
  group.clearLayers();
  for (const area of areas) {
    L.polygon(area.polygons.map((rings) => rings.map(flip)), { ...MAP_COLOURS.area, interactive: false, renderer }).addTo(group);
    const icon = L.divIcon({ className: "fk-area-name", iconSize: null, html: textElement("span", "", area.name) });
    L.marker([area.at[1], area.at[0]], { icon, interactive: false, keyboard: false }).addTo(group);
  }
}

function drawCells(group, cells, choose) {
  group.clearLayers();
  for (const cell of cells) {
    const colour = MAP_COLOURS.hot.find((step) => cell.q < step.below) || MAP_COLOURS.hot.at(-1);
    L.polygon(flip(cell.ring), {
      color: "#6d1c05", weight: 1, fillColor: colour.fill, fillOpacity: colour.opacity, bubblingMouseEvents: false,
    })
      .bindTooltip(textElement("div", "fk-tip", cell.label), { sticky: true, direction: "top", opacity: 1 })
      .on("click", () => choose({ kind: "hotspot", id: cell.spot || cell.id }))
      .addTo(group).spot = cell.spot || cell.id;
  }
}

// The cells of the spot that is listed stand out; when none of them is in sight, the map goes there.
function markSpot(group, rings, marked, map) {
  const chosen = [];
  group.eachLayer((cell) => {
    const on = Boolean(marked) && cell.spot === marked;
    cell.setStyle(on ? { color: "#16324f", weight: 4 } : { color: "#6d1c05", weight: 1 });
    if (on) chosen.push(cell.bringToFront().getBounds());
  });
  rings.eachLayer((ring) => ring.bringToFront());
  if (chosen.length && !chosen.some((bounds) => map.getBounds().intersects(bounds))) map.panTo(chosen[0].getCenter());
}

// Names that would lie on each other, on a button or over the edge are not shown; the first of them is.
function clearNames(frame) {
  const edge = frame.getBoundingClientRect(), taken = [];
  const boxes = (selector) => [...frame.querySelectorAll(selector)];
  for (const control of boxes(".fk-map-buttons, .leaflet-control")) taken.push(control.getBoundingClientRect());
  for (const name of [...boxes(".fk-name-box"), ...boxes(".fk-area-name span")]) {
    name.style.visibility = "";
    const box = name.getBoundingClientRect();
    const over = box.left < edge.left || box.right > edge.right || box.top < edge.top || box.bottom > edge.bottom;
    const free = !over && taken.every((other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
    if (free) taken.push(box);
    else name.style.visibility = "hidden";
  }
}

function drawClusters(group, clusters, choose) {
  group.clearLayers();
  for (const cluster of clusters) {
    const ring = L.circleMarker([cluster.at[1], cluster.at[0]], {
      radius: Math.min(24, 7 + 1.6 * Math.sqrt(cluster.complaints)), color: MAP_COLOURS.cluster, weight: 2.5,
      fillColor: "#fff", fillOpacity: 0.12, bubblingMouseEvents: false,
    });
    ring.bindTooltip(textElement("div", cluster.named ? "fk-name" : "fk-tip", cluster.label), {
      permanent: Boolean(cluster.named), direction: cluster.named ? "auto" : "top", opacity: 1,
      className: cluster.named ? "fk-name-box" : "", offset: cluster.named ? [14, 0] : [0, 0],
    });
    ring.on("click", () => choose({ kind: "cluster", id: cluster.id })).addTo(group);
  }
}

function drawLegend(box, legend) {
  box.replaceChildren();
  for (const row of legend) {
    const line = textElement("div", "fk-legend-row", "");
    line.append(textElement("span", `fk-key fk-key-${row.key}`, ""), textElement("span", "", row.label));
    box.append(line);
  }
  box.style.display = legend.length ? "" : "none";
}

// Draws the map of `model` in `element`; returns what takes it away again.
function drawPointMap(model, element) {
  element.classList.add("fk-map");
  const canvas = textElement("div", "fk-map-canvas", ""), legend = textElement("div", "fk-legend", "");
  const buttons = textElement("div", "fk-map-buttons", "");
  const frame = textElement("div", "fk-map-frame", "");
  frame.append(canvas, buttons);
  element.append(frame, legend);
  const map = L.map(canvas, {
    preferCanvas: true, attributionControl: false, zoomControl: false, zoomSnap: 0.25, minZoom: 3, maxZoom: 19,
    zoomAnimation: false, fadeAnimation: false, markerZoomAnimation: false, inertia: false,
  }).setView([0, 0], 3);
  map.zoomControl = L.control.zoom({ position: "topright" }).addTo(map);
  L.control.scale({ imperial: false, position: "bottomright" }).addTo(map);
  // From below: outlines, points, then cells and rings, which take the clicks.
  for (const [pane, level] of [["fk-areas", 340], ["fk-points", 360]]) {
    Object.assign(map.createPane(pane).style, { zIndex: level, pointerEvents: "none" });
  }
  const ground = L.canvas({ pane: "fk-areas" });
  const areas = L.layerGroup().addTo(map), points = new PointLayer().addTo(map);
  const cells = L.layerGroup().addTo(map), clusters = L.layerGroup().addTo(map);

  const choose = (what) => {
    model.set("clicked", { ...what, serial: (model.get("clicked").serial || 0) + 1 });
    model.save_changes();
  };
  map.on("click", (event) => {
    const found = points.nearest(event.containerPoint);
    if (found >= 0) choose({ kind: "point", id: found });
  });
  // Below the buttons, and again when the map gets another size, unless somebody has moved it since.
  let fitted = false;
  const fit = (bounds) => {
    if (!bounds.length) return;
    map.fitBounds(bounds.map(([lon, lat]) => [lat, lon]), { paddingTopLeft: [12, 52], paddingBottomRight: [12, 28] });
    fitted = bounds;
  };
  map.on("dragstart", () => { fitted = false; });
  for (const kind of ["wheel", "dblclick", "keydown"]) canvas.addEventListener(kind, () => { fitted = false; }, { passive: true });
  map.zoomControl.getContainer().addEventListener("click", () => { fitted = false; });
  let waiting = 0;
  const tidy = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => clearNames(frame)); };
  map.on("moveend zoomend", tidy);
  const draw = {
    areas: () => { drawAreas(areas, model.get("areas"), ground); tidy(); },
    cells: () => { drawCells(cells, model.get("cells"), choose); draw.marked(); },
    marked: () => markSpot(cells, clusters, model.get("marked"), map),
    clusters: () => { drawClusters(clusters, model.get("clusters"), choose); tidy(); },
    points: () => points.setPoints(projectPoints(model.get("points"), model.get("origin"))),
    legend: () => drawLegend(legend, model.get("legend")),
    bounds: () => fit(model.get("bounds")),
  };
  const watch = (name, act) => { model.on(`change:${name}`, act); return () => model.off(`change:${name}`, act); };
  const stops = Object.entries(draw).map(([name, act]) => watch(name, act));
  for (const [className, text, trait] of [["fk-fit-hot", "热点 Hot spots", "bounds"], ["fk-fit-all", "全域 Whole area", "whole"]]) {
    const button = textElement("button", className, text);
    button.type = "button";
    button.addEventListener("click", () => fit(model.get(trait)));
    buttons.append(button);
  }
  // Cells of a notebook are drawn while hidden: the map learns its size when it gets one.
  let sized = false;
  const observer = new ResizeObserver(() => {
    if (!canvas.clientWidth || !canvas.clientHeight) return;
    map.invalidateSize({ animate: false });
    if (!sized) { sized = true; draw.bounds(); }
    else if (fitted) fit(fitted);
    tidy();
  });
  observer.observe(canvas);
  Object.values(draw).forEach((act) => act());
  element.fieldkitMap = { map, points, cells, clusters };  // for tests and the console
  return () => { stops.forEach((stop) => stop()); cancelAnimationFrame(waiting); observer.disconnect(); map.remove(); };
}
