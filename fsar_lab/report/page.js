// Sorts the rows of every section of a table by the column whose heading was pressed; the text order comes back third.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  for (const body of table.tBodies) [...body.rows].forEach((row, number) => { row.dataset.order = number; });
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const order = { null: "ascending", ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    if (order) head.setAttribute("aria-sort", order);
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => row.cells.length > 1);
      rows.sort((a, b) => (order ? compare(a.cells[column], b.cells[column], order) : a.dataset.order - b.dataset.order));
      body.append(...rows);
    }
  }));
}

function compare(a, b, order) {
  const [x, y] = [a.dataset.value, b.dataset.value];
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined); // dashes stay last
  const difference = Number.isNaN(Number(x)) || Number.isNaN(Number(y)) ? x.localeCompare(y) : x - y;
  return order === "ascending" ? difference : -difference;
}
