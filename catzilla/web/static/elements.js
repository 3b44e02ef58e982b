// Elements that are updated in place, so that focus, selection and what is open stay as they are.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// One without blanks breaks after its dots and underscores, not in the middle of a word.
export function setName(node, text) {
  if (node.textContent === text) return;
  const parts = text.split(/(?<=[._])(?=[^._])/);
  node.replaceChildren(...parts.flatMap((part, index) => (index ? [document.createElement("wbr"), part] : [part])));
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

// Make the children of `parent` those of `items`, one for each key, in this order.
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.keyed ?? (parent.keyed = new Map());
  // First: one that stays is then not moved, and keeps the focus.
  const wanted = new Set(items.map(keyOf));
  for (const [key, node] of known) {
    if (!wanted.has(key)) {
      node.remove();
      known.delete(key);
    }
  }
  let before = null;
  for (const item of items) {
    const key = keyOf(item);
    let node = known.get(key);
    if (!node) {
      node = make(item);
      known.set(key, node);
    }
    update(node, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (node !== place) parent.insertBefore(node, place);
    before = node;
  }
}

// A table of columns {title, label?, text, name?, kind?, tone?, make?, update?, hint?}; the first column heads its row. Where it
// is narrow, each row is a list of its cells (dashboard.css), so each cell has the label of its column. The roles are
// those that elements of a table have anyway, and lose when they are not laid out as one.
export function table(node, columns, rows, keyOf, emptyText) {
  if (!node.tHead) {
    node.setAttribute("role", "table");
    const head = node.createTHead().insertRow();
    head.setAttribute("role", "row");
    for (const column of columns) {
      const text = column.kind === "text" ? "text" : "";
      head.append(element("th", { scope: "col", role: "columnheader", class: text, "aria-label": column.label ?? column.title }, column.title));
    }
    node.append(element("tbody", { role: "rowgroup" }));
    node.append(element("tfoot", {}, element("tr", {}, element("td", { class: "empty", colspan: columns.length }, emptyText))));
  }
  node.tHead.hidden = rows.length === 0;
  node.tFoot.hidden = rows.length > 0;
  keyed(
    node.tBodies[0],
    rows,
    keyOf,
    (row) => {
      const line = element("tr", { role: "row" });
      columns.forEach((column, index) => {
        const cell = index ? element("td", { role: "cell" }) : element("th", { scope: "row", role: "rowheader" });
        if (index) cell.dataset.label = column.label ?? column.title;
        if (column.make) cell.append(column.make(row));
        line.append(cell);
      });
      return line;
    },
    (line, row) => {
      columns.forEach((column, index) => {
        const cell = line.children[index];
        const tone = column.tone ? column.tone(row) : "";
        setClass(cell, [column.kind === "text" ? "text" : "", column.wrap ? "wrap" : "", column.mono ? "mono" : "", tone].join(" ").trim());
        if (column.update) column.update(cell, row);
        else if (column.text) (column.name ? setName : setText)(cell, column.text(row));
        if (column.hint) cell.title = column.hint(row);
      });
    },
  );
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
