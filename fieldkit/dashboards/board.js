// The page of a dashboard around the map of point_map.js. Every string, whoever wrote it, becomes text, never HTML.

const BOARD_FONT = "Fieldkit Sans";

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A wording in the page's language: Chinese large with English below, or one of them.
function say(language, wording, className = "") {
  const element = make("span", `fk-words ${className}`);
  const { zh = "", en = "" } = wording || {};
  const pick = language === "zh" ? [zh || en] : language === "en" ? [en || zh] : zh === en ? [zh] : [zh, en];
  pick.filter(Boolean).forEach((text, place) => element.append(textElement("span", place ? "fk-en" : "fk-zh", text)));
  return element;
}

function plain(language, wording) {
  const { zh = "", en = "" } = wording || {};
  if (language === "zh") return zh || en;
  return language === "en" ? en || zh : [zh, zh === en ? "" : en].filter(Boolean).join(" ");
}

const number = (value) => Number(value).toLocaleString("en-US");

// A browser without Chinese characters draws the same box for all of them.
function lacksChinese() {
  const draw = (character) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 24;
    const context = canvas.getContext("2d");
    context.font = "20px sans-serif";
    context.fillText(character, 2, 20);
    return canvas.toDataURL();
  };
  return draw("环") === draw("境");
}

function panelFrame(language, zh, en, className) {
  const body = make("div", "fk-panel-body");
  const frame = make("section", `fk-panel ${className}`, make("h2", "", say(language, { zh, en })), body);
  return { frame, body };
}

function drawHeadline(language, box, panel) {
  box.replaceChildren();
  if (panel.problem) return box.append(say(language, panel.problem, "fk-problem"));
  const figures = make("div", "fk-figures");
  for (const figure of panel.figures) {
    const value = make("div", figure.strong ? "fk-value fk-strong" : "fk-value", figure.value);
    if (figure.note && plain(language, figure.note)) value.append(say(language, figure.note, "fk-note"));
    figures.append(make("div", "", make("div", "fk-figure-label", say(language, figure.label)), value));
  }
  box.append(figures);
  if (panel.sentence) box.append(say(language, panel.sentence, "fk-sentence"));
}

function drawBars(language, box, panel, chosen, choose) {
  box.replaceChildren();
  if (panel.problem) return box.append(say(language, panel.problem, "fk-problem"));
  const most = Math.max(1, ...panel.rows.map((row) => Math.max(row.now, row.before || 0)));
  const compared = panel.rows.some((row) => row.before !== null);
  const table = make("table", "fk-bars");
  const head = make("tr", "", make("th", ""), make("th", ""), make("th", "fk-number", say(language, { zh: "本期", en: "now" })));
  if (compared) {
    head.append(make("th", "fk-number", say(language, { zh: "上年", en: "before" })), make("th", "fk-number", say(language, { zh: "变化", en: "change" })));
  }
  table.append(make("thead", "", head));
  const rows = make("tbody");
  for (const row of panel.rows) {
    const button = make("button", "fk-row-button", say(language, row.label));
    button.type = "button";
    button.disabled = !row.key;
    button.setAttribute("aria-pressed", String(Boolean(row.key) && row.key === chosen));
    button.addEventListener("click", () => choose(row.key === chosen ? "" : row.key));
    const bar = make("div", "fk-bar"), now = make("i", "fk-bar-now");
    now.style.width = `${(100 * row.now) / most}%`;
    if (row.now) bar.append(now);
    if (row.before !== null) {
      const mark = make("i", "fk-bar-before");
      mark.style.left = `${(100 * row.before) / most}%`;
      bar.append(mark);
    }
    const line = make("tr", `fk-level-${row.level}`, make("th", "", button), make("td", "fk-bar-cell", bar), make("td", "fk-number", number(row.now)));
    if (compared) line.append(make("td", "fk-number fk-quiet", number(row.before)), make("td", "fk-number", row.change));
    line.querySelector("th").scope = "row";
    rows.append(line);
  }
  table.append(rows);
  box.append(table);
}

function drawRhythm(language, box, panel) {
  box.replaceChildren();
  if (panel.problem) return box.append(say(language, panel.problem, "fk-problem"));
  if (!panel.most) return box.append(say(language, panel.note || { zh: "没有投诉。", en: "No complaints." }, "fk-problem"));
  const table = make("table", "fk-rhythm"), hours = make("tr", "", make("th", ""));
  for (let hour = 0; hour < 24; hour++) {
    const th = make("th", hour < 6 || hour >= 22 ? "fk-night" : "", String(hour));
    th.scope = "col";
    hours.append(th);
  }
  table.append(make("thead", "", hours));
  const rows = make("tbody");
  for (const row of panel.rows) {
    const th = make("th", "", say(language, row.label));
    th.scope = "row";
    const line = make("tr", "", th);
    for (const count of row.cells) {
      const share = panel.most ? count / panel.most : 0;
      // One hue from white to navy: lightness alone carries the number, and the number stands in the cell.
      const depth = count ? 0.1 + 0.9 * share : 0;
      const cell = make("td", depth > 0.66 ? "fk-dark" : "", count ? number(count) : "");
      cell.style.backgroundColor = count ? `rgb(${[10, 50, 92].map((part) => Math.round(255 + (part - 255) * depth))})` : "#f6f8f9";
      line.append(cell);
    }
    rows.append(line);
  }
  table.append(rows);
  box.append(table);
  if (panel.note) box.append(say(language, panel.note, "fk-foot"));
}

function drawList(language, box, panel, open) {
  box.replaceChildren();
  if (!panel) return box.append(say(language, { zh: "正在计算…", en: "computing …" }, "fk-foot"));
  if (panel.problem) return box.append(say(language, panel.problem, "fk-problem"));
  if (!panel.rows.length) return box.append(say(language, { zh: "没有。", en: "None." }, "fk-foot"));
  const list = make("ol", "fk-list");
  for (const row of panel.rows) {
    const button = make("button", "fk-list-button", textElement("span", "fk-list-name", row.name || "—"),
      textElement("span", "fk-list-note", row.note), textElement("b", "", number(row.count)));
    button.type = "button";
    button.title = row.name;
    button.addEventListener("click", () => open({ kind: row.kind, id: row.id }));
    list.append(make("li", "", button));
  }
  box.append(list);
}

function drawDetail(language, box, detail, open, close) {
  box.replaceChildren();
  box.hidden = !detail.rows;
  if (!detail.rows) return;
  const kinds = { hotspot: ["热点", "Hot spot"], cluster: ["聚集点", "Cluster"], place: ["地点", "Place"], point: ["位置", "Point"] };
  const [zh, en] = kinds[detail.kind] || ["", ""];
  const shut = make("button", "fk-close", "×");
  shut.type = "button";
  shut.setAttribute("aria-label", "关闭 Close");
  shut.addEventListener("click", close);
  const title = make("h2", "", say(language, { zh, en }, "fk-kind"), textElement("span", "fk-detail-name", detail.title || "—"));
  const shown = detail.rows.length, all = { zh: `共 ${number(detail.total)} 件`, en: `${number(detail.total)} complaint${detail.total === 1 ? "" : "s"}` };
  if (shown < detail.total) Object.assign(all, { zh: `${all.zh}，列出最近 ${shown} 件`, en: `${all.en}, the latest ${shown} listed` });
  box.append(make("header", "", title, shut), say(language, all, "fk-foot"));
  const list = make("ul", "fk-complaints");
  for (const row of detail.rows) {
    const facts = make("div", "fk-facts", textElement("b", "", row.number), textElement("time", "", row.date),
      say(language, row.channel, "fk-inline"), say(language, row.category, "fk-inline fk-tag"));
    const item = make("li", "", facts);
    if (row.alarm && row.alarm.zh) item.append(say(language, row.alarm, "fk-alarm"));
    if (row.text) item.append(textElement("p", "", row.text));
    if (row.translation && language !== "zh") item.append(textElement("p", "fk-translation", row.translation));
    const button = make("button", row.record ? "fk-open" : "fk-open fk-open-later", say(language, { zh: "打开记录", en: "Open record" }));
    button.type = "button";
    button.addEventListener("click", () => open({ kind: "record", id: row.case }));
    item.append(button);
    list.append(item);
  }
  box.append(list);
  box.scrollTop = 0;
  shut.focus({ preventScroll: true });
}

// The record of a case over everything: its own frame, without scripts, without a way to ask for anything.
function drawRecord(language, dialog, record, close) {
  dialog.replaceChildren();
  if (!record.title) return dialog.open && dialog.close();
  const shut = make("button", "fk-close", "×");
  shut.type = "button";
  shut.setAttribute("aria-label", "关闭 Close");
  shut.addEventListener("click", close);
  dialog.append(make("header", "", make("h2", "", say(language, { zh: "记录", en: "Record" }, "fk-kind"), textElement("span", "fk-detail-name", record.title)), shut));
  if (record.alarm) dialog.append(say(language, record.alarm, "fk-alarm"));
  if (record.page) {
    const frame = make("iframe", "fk-record");
    frame.title = `记录 Record ${record.title}`;
    frame.setAttribute("sandbox", "");
    frame.setAttribute("loading", "lazy");
    frame.srcdoc = record.page;
    dialog.append(frame);
  } else {
    dialog.append(make("div", "fk-no-record", say(language, record.sentence), textElement("code", "", record.command || "")));
  }
  if (!dialog.open) dialog.showModal();
  shut.focus();
}

function drawFilters(language, box, options, choose) {
  box.replaceChildren();
  const fields = {};
  const field = (zh, en, control) => {
    const label = make("label", "", say(language, { zh, en }), control);
    box.append(label);
    return control;
  };
  for (const [name, zh, en] of [["category", "类别", "Category"], ["district", "区县", "District"], ["channel", "渠道", "Channel"]]) {
    const select = make("select", `fk-filter-${name}`);
    select.append(new Option(plain(language, { zh: "全部", en: "All" }), ""));
    for (const row of options[name] || []) {
      select.append(new Option(`${row.level ? "　" : ""}${plain(language, row.label)} (${number(row.now)})`, row.key));
    }
    select.addEventListener("change", () => choose({ [name]: select.value }));
    fields[name] = field(zh, en, select);
  }
  const period = make("select", "fk-filter-period");
  for (const [place, row] of (options.period || []).entries()) period.append(new Option(plain(language, row.label), String(place)));
  const free = new Option(plain(language, { zh: "自定", en: "Free" }), "free");
  free.hidden = true;
  period.append(free);
  period.addEventListener("change", () => {
    const row = options.period[Number(period.value)];
    if (row) choose({ since: row.since, until: row.until });
  });
  fields.period = field("时段", "Period", period);
  for (const [name, zh, en] of [["since", "自", "From"], ["until", "至", "To"]]) {
    const input = make("input", `fk-filter-${name}`);
    input.type = "date";
    input.addEventListener("change", () => input.value && choose({ [name]: input.value }));
    fields[name] = field(zh, en, input);
  }
  const reset = make("button", "fk-reset", say(language, { zh: "清除", en: "Clear" }));
  reset.type = "button";
  reset.addEventListener("click", () => choose({ category: "", district: "", channel: "" }));
  box.append(reset);
  return (chosen) => {
    for (const name of ["category", "district", "channel", "since", "until"]) fields[name].value = chosen[name] || "";
    const known = (options.period || []).findIndex((row) => row.since === chosen.since && row.until === chosen.until);
    period.value = known < 0 ? "free" : String(known);
  };
}

// Sends one choice at a time: while Python answers, only the newest further choice is kept.
function chooser(model, busy) {
  let wanted = null, waiting = false, timer = null;
  const send = () => {
    const chosen = { ...wanted, serial: (model.get("chosen").serial || 0) + 1 };
    [waiting, wanted] = [true, null];
    busy("working");
    clearTimeout(timer);
    timer = setTimeout(() => busy("silent"), 30000);
    model.set("chosen", chosen);
    model.save_changes();
  };
  return {
    choose(change) {
      wanted = { ...(wanted || model.get("chosen")), ...change };
      if (!waiting) send();
      return wanted || model.get("chosen");
    },
    answered() {
      if (model.get("answered") < (model.get("chosen").serial || 0)) return;
      waiting = false;
      clearTimeout(timer);
      if (wanted) send();
      else busy("");
    },
  };
}

function drawBoard(model, root) {
  const language = model.get("language");
  root.classList.add("fk-board-host");
  const board = make("div", "fk-board"), filters = make("div", "fk-filters"), headline = make("div", "fk-headline");
  board.lang = language === "en" ? "en" : "zh-CN";
  const state = make("span", "fk-state");
  state.setAttribute("role", "status");
  state.setAttribute("aria-live", "polite");
  headline.setAttribute("aria-live", "polite");
  const heading = make("header", "fk-top", make("h1", "", textElement("span", "fk-title", model.get("title")), state), filters);
  const mapPanel = make("section", "fk-panel fk-map-panel"), mapBox = make("div", "fk-map-box");
  const detail = make("aside", "fk-detail"), dialog = make("dialog", "fk-dialog"), status = make("div", "fk-status");
  mapPanel.append(mapBox);
  const channels = panelFrame(language, "按渠道", "By channel", "fk-channels");
  const categories = panelFrame(language, "按类别", "By category", "fk-categories");
  const rhythm = panelFrame(language, "投诉时刻（星期 × 小时）", "When people complain (weekday × hour)", "fk-rhythm-panel");
  const places = panelFrame(language, "投诉最多的地点", "Places with most complaints", "fk-places");
  const hotspots = panelFrame(language, "热点", "Hot spots", "fk-hotspots");
  board.append(heading, status, headline, mapPanel, rhythm.frame, channels.frame, categories.frame, hotspots.frame, places.frame, detail, dialog);
  root.append(board);

  const ask = (what) => {
    model.set("clicked", { ...what, serial: (model.get("clicked").serial || 0) + 1 });
    model.save_changes();
  };
  const busy = (how) => {
    board.classList.toggle("fk-busy", how === "working");
    const sentence = { working: { zh: "正在计算…", en: "computing …" }, silent: { zh: "没有应答，请刷新页面", en: "no answer; reload the page" } }[how];
    state.replaceChildren(...(sentence ? [say(language, sentence)] : []));
  };
  const sender = chooser(model, busy);
  const choose = (change) => showChosen(sender.choose(change));
  const showChosen = drawFilters(language, filters, model.get("options"), choose);
  // Python is told, so that the same place can be opened again; the eye and the keyboard return to where they were.
  let opener = null;
  const closeDetail = () => {
    model.set({ detail: {}, marked: "" });
    model.save_changes();
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
  };
  const open = (what) => {
    opener = document.activeElement;
    ask(what);
  };
  const closeRecord = () => { dialog.close(); dialog.replaceChildren(); model.set("record", {}); model.save_changes(); };
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); closeRecord(); });
  board.addEventListener("keydown", (event) => { if (event.key === "Escape" && !dialog.open && !detail.hidden) closeDetail(); });

  const drawPanels = () => {
    const panels = model.get("panels"), chosen = model.get("chosen");
    if (!panels.headline) return;
    drawHeadline(language, headline, panels.headline);
    drawBars(language, channels.body, panels.channels, chosen.channel, (key) => choose({ channel: key }));
    drawBars(language, categories.body, panels.categories, chosen.category, (key) => choose({ category: key }));
    drawRhythm(language, rhythm.body, panels.rhythm);
    drawList(language, places.body, panels.places, open);
    drawList(language, hotspots.body, panels.hotspots, open);
    showChosen(chosen);
    board.dataset.answered = String(model.get("answered"));
  };
  const drawStatus = () => {
    const wording = model.get("status");
    status.replaceChildren(...(wording.zh ? [say(language, wording)] : []));
    status.hidden = !wording.zh;
  };
  const useFont = () => {
    const font = model.get("font");
    if (!font || !font.byteLength) return;
    const bytes = font.buffer.slice(font.byteOffset, font.byteOffset + font.byteLength);
    new FontFace(BOARD_FONT, bytes).load().then((face) => { document.fonts.add(face); board.dataset.font = "own"; });
  };
  const watched = {
    "change:panels": drawPanels,
    "change:answered": () => { board.dataset.answered = String(model.get("answered")); sender.answered(); },
    "change:detail": () => drawDetail(language, detail, model.get("detail"), ask, closeDetail),
    "change:record": () => drawRecord(language, dialog, model.get("record"), closeRecord),
    "change:status": drawStatus,
    "change:font": useFont,
  };
  for (const [event, act] of Object.entries(watched)) model.on(event, act);
  drawStatus();
  drawPanels();
  drawDetail(language, detail, model.get("detail"), ask, closeDetail);
  const removeMap = drawPointMap(model, mapBox);
  ask({ kind: "ready" });
  if (lacksChinese()) (model.get("font").byteLength ? useFont() : ask({ kind: "font" }));
  return () => {
    for (const [event, act] of Object.entries(watched)) model.off(event, act);
    removeMap();
  };
}
