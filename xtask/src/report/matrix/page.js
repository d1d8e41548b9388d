// Shows the evidence of a cell, and filters cells. The grids are complete without this script.
const data = JSON.parse(document.getElementById("data").textContent);
const dialog = document.querySelector("dialog");
const cells = [...document.querySelectorAll(".cell")];

function add(parent, name, text, className) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (className) element.className = className;
  parent.append(element);
  return element;
}

const quote = (word) => (/^[\w@%+=:,.\/-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'");
const identity = (id) => (!id ? "" : typeof id === "string" ? id : `ipc:[${id.inode}]` + (id.id ? ` id ${id.id}` : ""));

function concerns(step, cell) {
  const [what, mechanism] = [step.id.slice(0, step.id.lastIndexOf("-")), step.id.slice(step.id.lastIndexOf("-") + 1)];
  const others = ["sysv", "sem", "msg", "mqueue", "posix", "file"].includes(mechanism);
  return !others || (mechanism === cell.mechanism && (["write", "control"].includes(what) || cell.steps.includes(step.id)));
}

function showStep(parent, step, cell) {
  const element = add(parent, "div", "", "step" + (cell.steps.includes(step.id) ? " answers" : ""));
  const verdicts = { pass: "good", fail: "bad", skip: "none" };
  add(element, "span", step.verdict, "badge " + verdicts[step.verdict]);
  add(element, "strong", ` ${step.place} `);
  add(element, "code", step.command.length ? step.command.map(quote).join(" ") : step.id);
  for (const printed of [step.stderr, step.stdout]) if (printed) add(element, "pre", printed.trimEnd());
  if (step.reason) add(element, "p", step.reason);
  const facts = [step.exit_code == null ? "" : `exit status ${step.exit_code}`, identity(step.ipc_namespace), step.duration_ms == null ? "" : `${step.duration_ms} ms`];
  add(element, "p", facts.filter(Boolean).join("; "), "faint");
}

function show(button) {
  const engine = data.engines[button.dataset.engine];
  const cell = engine.cells[button.dataset.cell];
  const name = [cell.mechanism, cell.sharing, cell.event, cell.observer].join("/");
  const body = dialog.querySelector("div");
  body.replaceChildren();
  add(body, "h2", `${name} on ${button.closest(".engine").dataset.title}`);
  add(body, "p", `predicted ${cell.predicted}; observed ${cell.observed.join(", ") || "nothing"}: ${cell.verdict}`);
  if (cell.reason) add(body, "p", cell.reason);
  if (cell.quirk) add(body, "p", `Known (${cell.quirk.id}): ${cell.quirk.citation}`);
  if (cell.ipc_namespace) add(body, "p", `The observer was in ${identity(cell.ipc_namespace)}`, "faint");
  const script = engine.scripts.find((script) => script.name === cell.script);
  script.runs.forEach((run, index) => {
    add(body, "h3", script.runs.length > 1 ? `Run ${index + 1}` : "Steps");
    for (const step of run.steps) if (concerns(step, cell)) showStep(body, step, cell);
    if (run.aborted) add(body, "p", `The run ended here: ${run.aborted}`);
  });
  location.replace("#" + encodeURIComponent(`${button.dataset.engine}/${name}`));
  dialog.showModal();
}

function filter() {
  const wanted = (name) => new Set([...document.querySelectorAll(`input[name=${name}]:checked`)].map((input) => input.value));
  const [mechanisms, modes, verdicts] = [wanted("mechanism"), wanted("mode"), wanted("verdict")];
  for (const cell of cells) {
    const { mechanism, verdict } = cell.dataset;
    cell.classList.toggle("off", !mechanisms.has(mechanism) || !verdicts.has(verdict));
  }
  for (const row of document.querySelectorAll(".grid tbody tr")) {
    row.classList.toggle("hidden", !row.querySelector(".cell:not(.off)"));
  }
  for (const mode of document.querySelectorAll("section[data-mode]")) {
    const shown = modes.has(mode.dataset.mode) && (mode.querySelector("tr:not(.hidden) .cell") || (verdicts.has("skipped") && mode.querySelector(".skipped")));
    mode.classList.toggle("hidden", !shown);
  }
}

cells.forEach((cell) => cell.addEventListener("click", () => show(cell)));
document.getElementById("filters").addEventListener("change", filter);
document.getElementById("filters").hidden = false;
dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
const [engine, ...name] = decodeURIComponent(location.hash.slice(1)).split("/");
const linked = cells.find((cell) => cell.dataset.engine === engine && cell.title.startsWith(name.join("/") + ":"));
if (name.length && linked) show(linked);
