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

// A table of columns {title, text, kind?, tone?, make?, update?, title?}; the first column heads its row.
export function table(node, columns, rows, keyOf, emptyText) {
  if (!node.tHead) {
    const head = node.createTHead().insertRow();
    for (const column of columns) {
      head.append(element("th", { scope: "col", class: column.kind === "text" ? "text" : "" }, column.title));
    }
    node.append(element("tbody"));
    node.append(element("tfoot", {}, element("tr", {}, element("td", { class: "empty", colspan: columns.length }, emptyText))));
  }
  node.tHead.hidden = rows.length === 0;
  node.tFoot.hidden = rows.length > 0;
  keyed(
    node.tBodies[0],
    rows,
    keyOf,
    (row) => {
      const line = element("tr");
      columns.forEach((column, index) => {
        const cell = element(index === 0 ? "th" : "td", index === 0 ? { scope: "row" } : {});
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
        else if (column.text) setText(cell, column.text(row));
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
