/* Draws the layers of a fieldkit map on one canvas and shows their text. Text is data: it only ever becomes
   textContent or ink on the canvas, never markup. */
(function () {
  "use strict";
  if (window.fieldkit) { return; }

  var STEP = 1 / 100000;
  var FONT = '"Fieldkit Sans", "Noto Sans SC", system-ui, "Microsoft YaHei", "PingFang SC", sans-serif';
  var language = "both";

  function read(id) { return JSON.parse(document.getElementById(id).textContent); }

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) { made.className = className; }
    if (text !== undefined && text !== null) { made.textContent = text; }
    return made;
  }

  function say(pair) {
    if (!pair) { return ""; }
    if (language === "both") { return pair.zh === pair.en ? pair.en : pair.zh + " " + pair.en; }
    return pair[language];
  }

  /* Both languages as two elements: the Chinese one leads, the English one is quieter. */
  function say_into(parent, pair) {
    if (!pair) { return parent; }
    var two = language === "both" && pair.zh !== pair.en;
    parent.appendChild(element("span", "fk-lead", two ? pair.zh : say(pair)));
    if (two) { parent.appendChild(element("span", "fk-second", pair.en)); }
    return parent;
  }

  function number(value) {
    if (typeof value !== "number") { return value; }
    if (value !== 0 && Math.abs(value) < 0.001) { return value.toExponential(1); }
    return String(value);
  }

  /* From steps of 1/100000 degree to pixels of zoom level 0, where everything is drawn from. */
  function to_pixels(flat) {
    var out = new Float64Array(flat.length), lon = 0, lat = 0;
    for (var i = 0; i < flat.length; i += 2) {
      lon += flat[i]; lat += flat[i + 1];
      var point = L.CRS.EPSG3857.latLngToPoint(L.latLng(lat * STEP, lon * STEP), 0);
      out[i] = point.x; out[i + 1] = point.y;
    }
    return out;
  }

  function box_of(rings) {
    var box = [Infinity, Infinity, -Infinity, -Infinity];
    rings.forEach(function (ring) {
      for (var i = 0; i < ring.length; i += 2) {
        box[0] = Math.min(box[0], ring[i]); box[2] = Math.max(box[2], ring[i]);
        box[1] = Math.min(box[1], ring[i + 1]); box[3] = Math.max(box[3], ring[i + 1]);
      }
    });
    return box;
  }

  function inside(rings, x, y) {
    var within = false;
    rings.forEach(function (ring) {
      for (var i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
        if ((ring[i + 1] > y) !== (ring[j + 1] > y) &&
            x < (ring[j] - ring[i]) * (y - ring[i + 1]) / (ring[j + 1] - ring[i + 1]) + ring[i]) {
          within = !within;
        }
      }
    });
    return within;
  }

  function prepare(data) {
    var layer = { data: data, shown: data.shown !== false, drawn: 0 };
    if (data.shapes) {
      layer.shapes = data.shapes.map(function (rings) { return rings.map(to_pixels); });
      layer.boxes = layer.shapes.map(box_of);
    }
    if (data.points) {
      var flat = new Array(data.points.lon.length * 2);
      data.points.lon.forEach(function (lon, i) { flat[2 * i] = lon; flat[2 * i + 1] = data.points.lat[i]; });
      layer.points = to_pixels(flat);
    }
    return layer;
  }

  /* One canvas that pans and zooms with the map; L.Renderer brings the padding and the zoom animation. */
  var Sheet = L.Renderer.extend({
    options: { padding: 0.15 },
    _initContainer: function () {
      this._container = element("canvas", "fk-sheet");
      this._container.setAttribute("role", "img");
      this._context = this._container.getContext("2d");
      this.layers = this.layers || [];
    },
    _destroyContainer: function () { L.DomUtil.remove(this._container); delete this._container; },
    _updatePaths: function () {},
    _update: function () {
      if (!this._container || (this._map._animatingZoom && this._bounds)) { return; }
      L.Renderer.prototype._update.call(this);
      var size = this._bounds.getSize(), ratio = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
      if (this._printing) { ratio = 3; }
      if (ratio !== this._ratio) { this._ratio = ratio; this._stamps = {}; }
      L.DomUtil.setPosition(this._container, this._bounds.min);
      this._container.width = Math.round(size.x * ratio);
      this._container.height = Math.round(size.y * ratio);
      this._container.style.width = size.x + "px";
      this._container.style.height = size.y + "px";
      this._context.setTransform(ratio, 0, 0, ratio, -this._bounds.min.x * ratio, -this._bounds.min.y * ratio);
      this._draw();
      this.fire("update");
    },
    redraw: function () { if (this._map) { this._update(); } },
    _draw: function () {
      var zoom = this._map.getZoom(), origin = this._map.getPixelOrigin();
      this.scale = Math.pow(2, zoom);
      this.dx = -origin.x; this.dy = -origin.y;
      this.view = [(this._bounds.min.x - this.dx) / this.scale, (this._bounds.min.y - this.dy) / this.scale,
                   (this._bounds.max.x - this.dx) / this.scale, (this._bounds.max.y - this.dy) / this.scale];
      this.labels = []; this.said = [];
      var sheet = this;
      var shown = this.layers.filter(function (layer) { layer.drawn = 0; return layer.shown; });
      shown.forEach(function (layer) { if (layer.shapes) { sheet._draw_shapes(layer, "fill"); } });
      shown.forEach(function (layer) { if (layer.data.outline) { sheet._draw_shapes(layer, "line"); } });
      shown.forEach(function (layer) { if (layer.points) { sheet._draw_points(layer); } });
      shown.slice().reverse().forEach(function (layer) { if (layer.data.labels) { sheet._draw_labels(layer); } });
    },
    _seen: function (box) {
      var v = this.view;
      return box[2] >= v[0] && box[0] <= v[2] && box[3] >= v[1] && box[1] <= v[3];
    },
    _trace: function (rings) {
      var c = this._context, s = this.scale;
      c.beginPath();
      for (var r = 0; r < rings.length; r++) {
        var ring = rings[r];
        c.moveTo(ring[0] * s + this.dx, ring[1] * s + this.dy);
        for (var i = 2; i < ring.length; i += 2) { c.lineTo(ring[i] * s + this.dx, ring[i + 1] * s + this.dy); }
        c.closePath();
      }
    },
    _draw_shapes: function (layer, what) {
      var c = this._context, data = layer.data;
      c.lineJoin = "round";
      for (var i = 0; i < layer.shapes.length; i++) {
        if (!this._seen(layer.boxes[i])) { continue; }
        var style = data.shape_style || data.classes[data.style ? data.style[i] : 0];
        this._trace(layer.shapes[i]);
        if (what === "fill") { layer.drawn += 1; }
        // Over base tiles areas are outlines only: the ground shows.
        if (what === "fill" && style.fill && !(data.outline && this.ground)) {
          c.globalAlpha = style.opacity; c.fillStyle = style.fill; c.fill("evenodd");
        }
        if (style.line && (what === "line" || !data.outline)) {
          c.globalAlpha = style.line_opacity || 1; c.strokeStyle = style.line; c.lineWidth = style.weight || 1;
          c.stroke();
        }
      }
      c.globalAlpha = 1;
    },
    _radius: function (layer, i) {
      var sizes = layer.data.sizes;
      if (!sizes) { return Math.max(layer.points.length > 40000 ? 1.6 : 2.5, Math.min(6, (this._map.getZoom() - 8) * 0.7)); }
      if (layer.crowded && layer.crowded[i]) { return 4; }
      return this._count_radius(sizes[i]);
    },
    /* A circle with a number in it: small over a whole city, larger from street to street. */
    _count_radius: function (count) {
      var near = Math.max(0, Math.min(1, (this._map.getZoom() - 12) / 4));
      return 7.5 + 1.5 * near + (1 + 1.8 * near) * Math.sqrt(Math.min(count, 400) / 4);
    },
    /* Of circles that would hide one another the one with most complaints keeps its number; the others become dots. */
    _uncrowd: function (layer) {
      var p = layer.points, s = this.scale, kept = [], sheet = this;
      layer.crowded = new Uint8Array(p.length / 2);
      layer.data.sizes.map(function (size, i) { return [size, i]; })
        .sort(function (a, b) { return b[0] - a[0] || a[1] - b[1]; })
        .forEach(function (pair) {
          var i = pair[1], x = p[2 * i] * s, y = p[2 * i + 1] * s, r = sheet._count_radius(pair[0]);
          if (kept.length > 2000 || kept.some(function (k) {
            var apart = r + k[2] + 1, dx = x - k[0], dy = y - k[1];
            return dx * dx + dy * dy < apart * apart;
          })) { layer.crowded[i] = 1; } else { kept.push([x, y, r]); }
        });
    },
    _draw_points: function (layer) {
      var c = this._context, data = layer.data, p = layer.points, v = this.view, s = this.scale;
      c.textAlign = "center"; c.textBaseline = "middle";
      if (data.sizes) { this._draw_counts(layer); return; }
      // Of many points of one colour within two pixels, one is drawn: the others would not be seen.
      var crowd = p.length > 10000 && !data.sizes ? new Uint16Array(this._crowd_size()) : null;
      for (var i = 0; i < p.length / 2; i++) {
        var x = p[2 * i], y = p[2 * i + 1];
        if (x < v[0] || x > v[2] || y < v[1] || y > v[3]) { continue; }
        var which = data.style ? data.style[i] : 0, style = data.classes[which];
        x = x * s + this.dx; y = y * s + this.dy;
        layer.drawn += 1;
        if (crowd) {
          var spot = ((y - this._bounds.min.y) >> 1) * this._crowd_width + ((x - this._bounds.min.x) >> 1);
          var bit = 1 << (which & 15);
          if (crowd[spot] & bit) { continue; }
          crowd[spot] |= bit;
        }
        this._stamp(style, this._radius(layer, i), x, y);
      }
      c.globalAlpha = 1;
    },
    /* Places with their number: first the dots, so that every number stays readable over them. */
    _draw_counts: function (layer) {
      var c = this._context, data = layer.data, p = layer.points, v = this.view, s = this.scale, sheet = this;
      this._uncrowd(layer);
      [1, 0].forEach(function (crowded) {
        for (var i = data.sizes.length - 1; i >= 0; i--) {
          var x = p[2 * i], y = p[2 * i + 1];
          if (layer.crowded[i] !== crowded || x < v[0] || x > v[2] || y < v[1] || y > v[3]) { continue; }
          x = x * s + sheet.dx; y = y * s + sheet.dy;
          layer.drawn += 1;
          var style = data.classes[data.style ? data.style[i] : 0], r = sheet._radius(layer, i);
          c.beginPath(); c.arc(x, y, r, 0, 2 * Math.PI);
          c.globalAlpha = style.opacity; c.fillStyle = style.fill; c.fill();
          c.globalAlpha = 1; c.strokeStyle = style.line; c.lineWidth = style.weight || 1.2; c.stroke();
          sheet.labels.push([x - r, y - r, x + r, y + r]);
          if (crowded) { continue; }
          c.font = "600 " + (r < 11 ? 11 : 12) + "px " + FONT;
          c.fillStyle = "#ffffff"; c.fillText(String(data.sizes[i]), x, y + 0.5);
        }
      });
    },
    _crowd_size: function () {
      var size = this._bounds.getSize();
      this._crowd_width = (size.x >> 1) + 1;
      return this._crowd_width * ((size.y >> 1) + 1);
    },
    /* A point is drawn once into a small picture and then stamped: 100,000 of them stay quick. */
    _stamp: function (style, radius, x, y) {
      var key = style.fill + radius, kept = (this._stamps = this._stamps || {}), ratio = this._ratio;
      if (!kept[key]) {
        var picture = element("canvas"), half = radius + 1.5, size = Math.ceil(2 * half * ratio);
        picture.width = picture.height = size;
        var c = picture.getContext("2d");
        c.scale(ratio, ratio); c.globalAlpha = style.opacity; c.fillStyle = style.fill;
        c.beginPath(); c.arc(half, half, radius, 0, 2 * Math.PI); c.fill();
        if (radius >= 3.5) { c.strokeStyle = "#ffffff"; c.lineWidth = 0.8; c.globalAlpha = 0.9; c.stroke(); }
        kept[key] = { picture: picture, half: half, size: size / ratio };
      }
      var stamp = kept[key];
      // On whole pixels the browser copies instead of resampling.
      x = Math.round((x - stamp.half) * ratio) / ratio; y = Math.round((y - stamp.half) * ratio) / ratio;
      this._context.drawImage(stamp.picture, x, y, stamp.size, stamp.size);
    },
    _draw_labels: function (layer) {
      var c = this._context, data = layer.data, sheet = this, s = this.scale, quiet = data.labels.quiet;
      c.textAlign = "center"; c.textBaseline = "middle"; c.lineJoin = "round";
      data.labels.order.forEach(function (i) {
        if (layer.crowded && layer.crowded[i]) { return; }
        var pair = data.labels.text[i];
        var lines = pair.zh === pair.en || language !== "both" ? [say(pair)] : [pair.zh, pair.en];
        lines = lines.filter(Boolean).map(function (line) {
          return line.length > 32 ? line.slice(0, 31) + "…" : line;
        });
        if (!lines.length) { return; }
        var at = L.CRS.EPSG3857.latLngToPoint(L.latLng(data.labels.at[2 * i + 1], data.labels.at[2 * i]), 0);
        if (quiet) { at = sheet._seen_inside(layer, i, at); }
        var x = at.x * s + sheet.dx, y = at.y * s + sheet.dy;
        var size = quiet ? 13 : 12;
        c.font = (quiet ? "" : "600 ") + size + "px " + FONT;
        var width = Math.max.apply(null, lines.map(function (line) { return c.measureText(line).width; }));
        var place = sheet._free_place(layer, i, x, y, width, size, lines);
        if (!place) { return; }
        x = place.x; y = place.y;
        lines.forEach(function (line, n) {
          c.font = (quiet || n ? "" : "600 ") + (n ? size - 2 : size) + "px " + FONT;
          c.strokeStyle = "rgba(255,255,255,0.9)"; c.lineWidth = 3.5;
          c.strokeText(line, x, y + n * size * 1.2);
          c.fillStyle = quiet ? "#55626d" : "#1f2a33"; c.fillText(line, x, y + n * size * 1.2);
        });
      });
    },
    /* Where a label is free: at its point; for a circle below, above, right or left of it. Null when nowhere, or when
       the same words stand close by already. */
    _free_place: function (layer, i, x, y, width, size, lines) {
      var high = size * (1.25 * lines.length + 0.2), r = layer.points ? this._radius(layer, i) : 0, sheet = this;
      var words = lines.join("\n");
      if (this.said.some(function (b) {
        return b.words === words && Math.abs(b.x - x) < 240 && Math.abs(b.y - y) < 160;
      })) { return null; }
      var side = r + width / 2 + 5, rows = size * 1.2 * (lines.length - 1);
      var tries = layer.points ? [[0, r + 10], [0, -r - 9 - rows], [side, -rows / 2], [-side, -rows / 2]] : [[0, 0]];
      for (var n = 0; n < tries.length; n++) {
        var at = { x: x + tries[n][0], y: y + tries[n][1], words: words };
        var box = [at.x - width / 2 - 3, at.y - size * 0.7, at.x + width / 2 + 3, at.y - size * 0.7 + high];
        if (sheet._taken(box)) { continue; }
        this.labels.push(box);
        this.said.push(at);
        return at;
      }
      return null;
    },
    _taken: function (box) {
      return this.labels.some(function (b) {
        return box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1];
      });
    },
    /* Where to write the name of an area of which only a part is in view: the middle of that part. */
    _seen_inside: function (layer, i, at) {
      var size = this._map.getSize(), corner = this._map.containerPointToLayerPoint([0, 0]);
      var left = (corner.x - this.dx) / this.scale, top = (corner.y - this.dy) / this.scale;
      var wide = size.x / this.scale, high = size.y / this.scale;
      var margin_x = wide * 0.05, margin_y = high * 0.05;
      if (at.x > left + margin_x && at.x < left + wide - margin_x &&
          at.y > top + margin_y && at.y < top + high - margin_y) { return at; }
      var seen = [], n, m;
      for (n = 1; n < 12; n++) {
        for (m = 1; m < 10; m++) {
          var x = left + wide * n / 12, y = top + high * m / 10;
          if (inside(layer.shapes[i], x, y)) { seen.push([x, y]); }
        }
      }
      if (!seen.length) { return at; }
      var mean = [0, 0];
      seen.forEach(function (p) { mean[0] += p[0] / seen.length; mean[1] += p[1] / seen.length; });
      var away = function (p) { return Math.pow(p[0] - mean[0], 2) + Math.pow(p[1] - mean[1], 2); };
      seen.sort(function (a, b) { return away(a) - away(b); });
      return { x: seen[0][0], y: seen[0][1] };
    },
    /* What lies under a place on the map: the uppermost layer first, points before outlines. */
    pick: function (latlng) {
      var at = L.CRS.EPSG3857.latLngToPoint(latlng, 0), found = null, sheet = this, zoom = this.scale;
      var asked = this.layers.filter(function (layer) { return layer.shown && layer.data.popup; }).reverse();
      asked.some(function (layer) {
        if (!layer.points) { return false; }
        var best = Infinity;
        for (var i = 0; i < layer.points.length / 2; i++) {
          var reach = (sheet._radius(layer, i) + 2) / zoom;
          var dx = layer.points[2 * i] - at.x, dy = layer.points[2 * i + 1] - at.y, away = dx * dx + dy * dy;
          if (away <= reach * reach && away < best) { best = away; found = { layer: layer, item: i }; }
        }
        return found !== null;
      });
      if (found) { return found; }
      asked.some(function (layer) {
        if (!layer.shapes) { return false; }
        for (var i = 0; i < layer.shapes.length; i++) {
          var box = layer.boxes[i];
          if (at.x < box[0] || at.x > box[2] || at.y < box[1] || at.y > box[3]) { continue; }
          if (inside(layer.shapes[i], at.x, at.y)) { found = { layer: layer, item: i }; return true; }
        }
        return false;
      });
      return found;
    }
  });

  function popup_content(layer, item) {
    var popup = layer.data.popup, content = element("div", "fk-popup");
    var heading = popup.heading ? value_of(popup.heading, item) : "";
    content.appendChild(element("h2", "", heading || say(layer.data.title)));
    var table = content.appendChild(element("table"));
    popup.lines.forEach(function (line) {
      var value = value_of(line, item);
      if (value === null || value === undefined || value === "") { return; }
      var row = table.appendChild(element("tr"));
      row.appendChild(element("th", "", say(line.label)));
      row.appendChild(element("td", "", number(value)));
    });
    return content;
  }

  function value_of(line, item) {
    var value = line.values[item];
    return line.words ? line.words[value] : value;
  }

  function centre_of(layer, item) {
    var x, y;
    if (layer.points) {
      x = layer.points[2 * item]; y = layer.points[2 * item + 1];
    } else {
      var box = layer.boxes[item];
      x = (box[0] + box[2]) / 2; y = (box[1] + box[3]) / 2;
    }
    return L.CRS.EPSG3857.pointToLatLng(L.point(x, y), 0);
  }

  function open_popup(map, layer, item, latlng) {
    L.popup({ maxWidth: 340, minWidth: 190, autoPanPadding: [24, 24] })
      .setLatLng(latlng || centre_of(layer, item)).setContent(popup_content(layer, item)).openOn(map);
  }

  function sheet_of(map) {
    if (map.fieldkit_sheet) { return map.fieldkit_sheet; }
    var sheet = map.fieldkit_sheet = new Sheet();
    sheet.layers = [];
    sheet.addTo(map);
    map.on("click", function (event) {
      var found = sheet.pick(event.latlng);
      if (found) { open_popup(map, found.layer, found.item, event.latlng); }
    });
    var waiting = false;
    map.on("mousemove", function (event) {
      if (waiting) { return; }
      waiting = true;
      window.requestAnimationFrame(function () {
        waiting = false;
        map.getContainer().style.cursor = sheet.pick(event.latlng) ? "pointer" : "";
      });
    });
    if (document.fonts && document.fonts.ready) { document.fonts.ready.then(function () { sheet.redraw(); }); }
    return sheet;
  }

  function add(map, id) {
    var sheet = sheet_of(map), layer = prepare(read(id));
    sheet.layers.push(layer);
    sheet.redraw();
    return layer;
  }

  function swatch(style, kind) {
    var mark = element("span", "fk-swatch fk-" + kind);
    mark.style.borderColor = style.line || style.fill;
    var fill = mark.appendChild(element("span"));
    fill.style.backgroundColor = style.fill || "transparent";
    fill.style.opacity = style.opacity;
    return mark;
  }

  function legend(panel, sheet) {
    sheet.layers.forEach(function (layer, n) {
      var box = panel.appendChild(element("section", "fk-layer"));
      var label = box.appendChild(element("label"));
      var check = label.appendChild(element("input"));
      check.type = "checkbox"; check.checked = layer.shown; check.id = "fk-layer-" + n;
      say_into(label.appendChild(element("span", "fk-name")), layer.data.title);
      check.addEventListener("change", function () { layer.shown = check.checked; sheet.redraw(); });
      layer.data.classes.forEach(function (style) {
        if (!style.label) { return; }
        var line = box.appendChild(element("div", "fk-class"));
        line.appendChild(swatch(style, layer.points ? "dot" : "field"));
        say_into(line.appendChild(element("span")), style.label);
      });
      if (layer.data.note) { say_into(box.appendChild(element("p", "fk-note")), layer.data.note); }
    });
  }

  function listing(panel, map, sheet) {
    sheet.layers.forEach(function (layer) {
      var list = layer.data.list;
      if (!list || !list.order.length) { return; }
      var box = panel.appendChild(element("section", "fk-list"));
      say_into(box.appendChild(element("h2")), list.title);
      var items = box.appendChild(element("ol"));
      list.order.forEach(function (item) {
        var button = items.appendChild(element("li")).appendChild(element("button"));
        button.type = "button";
        button.appendChild(element("span", "fk-item", value_of(layer.data.popup.heading, item) || "—"));
        button.appendChild(element("span", "fk-count", number(list.counts[item])));
        button.addEventListener("click", function () {
          map.setView(centre_of(layer, item), Math.max(map.getZoom(), list.zoom || 14), { animate: false });
          open_popup(map, layer, item);
        });
      });
    });
  }

  /* The base: tiles out of the page. Where there is none, the part of a coarser one that lies there is drawn. */
  var Ground = L.GridLayer.extend({
    options: { updateWhenZooming: false, maxZoom: 19 },
    createTile: function (coords, done) {
      var tile = element("canvas", "fk-tile"), size = this.getTileSize(), images = this.images, up = 0, address;
      tile.width = size.x; tile.height = size.y;
      for (; up <= coords.z && !address; up++) {
        address = images[(coords.z - up) + "/" + (coords.x >> up) + "/" + (coords.y >> up)];
      }
      up -= 1;
      if (!address) { window.setTimeout(function () { done(null, tile); }, 0); return tile; }
      var picture = new Image();
      picture.onload = function () {
        var part = 1 << up, wide = picture.width / part, high = picture.height / part;
        tile.getContext("2d").drawImage(picture, (coords.x % part) * wide, (coords.y % part) * high, wide, high,
          0, 0, size.x, size.y);
        tile.setAttribute("data-drawn", (coords.z - up) + "/" + (coords.x >> up) + "/" + (coords.y >> up));
        done(null, tile);
      };
      picture.onerror = function () { done(null, tile); };
      picture.src = address;
      return tile;
    }
  });

  function ground(map, sheet, data) {
    if (data.credit) {
      var credit = document.getElementById("fk-credit");
      credit.textContent = data.credit;
      credit.hidden = false;
    }
    if (!document.getElementById("fk-tiles")) { return; }
    var layer = new Ground();
    layer.images = read("fk-tiles").images;
    layer.addTo(map);
    sheet.ground = true;
  }

  function page(map, id) {
    var data = read(id), sheet = sheet_of(map);
    language = data.language;
    document.title = say(data.title);
    say_into(document.getElementById("fk-title"), data.title);
    if (data.subtitle) { say_into(document.getElementById("fk-subtitle"), data.subtitle); }
    var panel = document.getElementById("fk-panel");
    if (data.sentence) { say_into(panel.appendChild(element("p", "fk-sentence")), data.sentence); }
    say_into(panel.appendChild(element("h2", "fk-legend")), { zh: "图例", en: "Legend" });
    legend(panel, sheet);
    listing(panel, map, sheet);
    (data.details || []).forEach(function (line) {
      say_into(panel.appendChild(element("p", "fk-detail")), line);
    });
    L.control.scale({ imperial: false, maxWidth: 160 }).addTo(map);
    fit(map, sheet, data);
    ground(map, sheet, data);
    sheet.redraw();
  }

  function button(id, words, pressed) {
    var made = document.getElementById(id);
    if (!made) { return; }
    made.title = say(words);
    made.setAttribute("aria-label", say(words));
    made.hidden = false;
    made.addEventListener("click", pressed);
  }

  function fit(map, sheet, data) {
    function show(bounds, options) {
      map.invalidateSize({ animate: false });
      map.fitBounds(bounds, L.extend({ animate: false }, options));
    }
    function first() {
      if (!data.focus) { show(data.bounds, { padding: [18, 18] }); return; }
      // A tenth of the screen around the hot spots, so that one sees what lies beside them and their names have room.
      var margin = Math.min(map.getSize().x, map.getSize().y) * 0.1;
      show(data.bounds, { padding: [margin, margin], maxZoom: data.closest });
    }
    first();
    var seen = map.getSize();
    button("fk-home", { zh: "全图：显示全部内容", en: "Whole map: everything on it" }, function () {
      show(data.whole, { padding: [18, 18] });
    });
    if (data.focus) { button("fk-focus", data.focus, first); }
    if (window.ResizeObserver) {
      new ResizeObserver(function () {
        var empty = seen.x < 40 || seen.y < 40;
        map.invalidateSize({ animate: false });
        seen = map.getSize();
        if (empty && seen.x >= 40) { first(); }
      }).observe(map.getContainer());
    }
    function print(starts) {
      sheet._printing = starts; map.invalidateSize({ animate: false });
      if (starts) { map.fitBounds(map.getBounds(), { animate: false }); }
      sheet.redraw();
    }
    window.addEventListener("beforeprint", function () { print(true); });
    window.addEventListener("afterprint", function () { print(false); });
    sheet.redraw();
  }

  window.fieldkit = { add: add, page: page, sheet_of: sheet_of, centre_of: centre_of };
})();
